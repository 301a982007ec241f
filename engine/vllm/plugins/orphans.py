"""vLLM's engine cores end with the process that started them, however that has ended.

vLLM (0.32) sees to it for the workers of a core. A core itself whose front end was killed, by a
signal or for want of memory, waits for ever, and keeps a GPU's memory from the next one.
`vllm_plugins` calls `register` in each process of vLLM's.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from contextlib import suppress
from multiprocessing.connection import wait
from shutil import rmtree

from engine.vllm.options import claimed_folder

PATIENCE = 10.0  # seconds that a core gets to end in order


def register() -> None:
    """Have this process end with its parent, if it is an engine core.

    What it puts into files goes into a folder of its own, which the parent removes.
    """
    parent = multiprocessing.parent_process()
    if parent and multiprocessing.current_process().name.startswith("EngineCore"):
        if folder := claimed_folder():
            own = folder / str(os.getpid())
            own.mkdir(exist_ok=True)
            tempfile.tempdir = str(own)  # as the module's documentation has it
        threading.Thread(target=_end_after, args=[parent.sentinel], daemon=True).start()


def _end_after(sentinel: int) -> None:
    import psutil  # vLLM needs it too

    # What vLLM calls the coordinator of data parallelism, which is no core and loads no plugins.
    siblings = psutil.Process(os.getppid()).children()
    coordinators = [each for each in siblings if "DPCoord" in each.name()]
    wait([sentinel])
    for coordinator in coordinators:
        with suppress(psutil.NoSuchProcess):
            coordinator.kill()
    if folder := claimed_folder():  # of several cores, each does so
        rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
