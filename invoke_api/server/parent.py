"""The end of the service with the process that has started it."""

import logging
import os
import signal
import threading

log = logging.getLogger(__name__)

STDIN = 0


def stop_with_stdin() -> None:
    """Stop the service, as by SIGTERM, when its standard input closes.

    A parent that holds the other end of the pipe closes it when it ends, even if it is killed.
    """
    threading.Thread(target=_wait_for_end, name="stdin", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(STDIN, 65_536):
        pass
    log.info("standard input has closed: stopping")
    os.kill(os.getpid(), signal.SIGTERM)
