"""`invoke-api`, and `python -m invoke_api`."""

import gc
import os
import sys

# `python -m` looks in the working folder first, where an application may have its own `engine`.
if sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 - sys.path holds strings
    del sys.path[0]

gc.disable()  # what is imported stays: looking for garbage in it takes a tenth of the start
from invoke_api.cli import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    main(prog_name="invoke-api")
