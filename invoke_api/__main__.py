"""`python -m invoke_api`."""

import os
import sys

# `python -m` looks in the working folder first, where an application may have its own `engine`.
if sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 - sys.path holds strings
    del sys.path[0]

from invoke_api.cli import main

if __name__ == "__main__":
    main(prog_name="invoke-api")
