"""End vLLM's engine cores when the process that started them has ended.

vLLM (0.32) does so for the workers of a core only. A core whose front end was killed, by a signal
or by the out-of-memory killer, waits for ever and keeps the GPU's memory.
`engine.vllm.plugins` calls `register` in each process of vLLM.
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

SHUTDOWN_SECONDS = 10.0  # for a core to shut down after SIGTERM


def register() -> None:
    """Have this process end with its parent if it is an engine core.

    Its temporary files go into a folder of its own, which the parent removes.
    """
    parent = multiprocessing.parent_process()
    if parent and multiprocessing.current_process().name.startswith("EngineCore"):
        if folder := claimed_folder():
            own = folder / str(os.getpid())
            own.mkdir(exist_ok=True)
            tempfile.tempdir = str(own)  # as documented for `tempfile`
        threading.Thread(target=_end_after, args=[parent.sentinel], daemon=True).start()


def _end_after(sentinel: int) -> None:
    import psutil  # vLLM needs it too

    # vLLM's coordinator of data parallelism loads no plugins, so a core must end it.
    siblings = psutil.Process(os.getppid()).children()
    coordinators = [each for each in siblings if "DPCoord" in each.name()]
    wait([sentinel])
    for coordinator in coordinators:
        with suppress(psutil.NoSuchProcess):
            coordinator.kill()
    if folder := claimed_folder():  # every core of several does this
        rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SHUTDOWN_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
