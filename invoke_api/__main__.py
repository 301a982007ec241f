"""The entry point of `invoke-api` and of `python -m invoke_api`."""

import gc
import os
import sys

if sys.platform == "win32":
    raise SystemExit("Invoke API needs Linux or macOS. On Windows, run it in WSL 2 or in Docker.")

# `python -m` searches the working folder first, which may contain another package `engine`.
if sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109 - sys.path holds strings
    del sys.path[0]

from invoke_api.bundled import put_on_path

put_on_path()
gc.disable()  # garbage collection would take a tenth of the start, and imports leave no garbage
from invoke_api.cli import main  # noqa: E402

gc.enable()

if __name__ == "__main__":
    main(prog_name="invoke-api")
