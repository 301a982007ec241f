"""Users of a service that make one call after the other, and how each call ended."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.servers import SEVEN_B, invoke
from tests.support.streams import split_frames
from tests.support.waiting import until

STREAM = "invoke-with-response-stream"
BODY = {"prompt": "turn left", "max_tokens": 200, "temperature": 0}
USERS = 6
LONGEST_SECONDS = 60.0
# The errors that docs/operate/remote.md promises if a server fails.
MODELLED = {
    "modelStreamErrorException",
    "ServiceUnavailableException",
    "serviceUnavailableException",
    "ThrottlingException",
    "ModelErrorException",
    "internalServerException",
}


class Answered(NamedTuple):
    """The end of a call. `error` is the type of its error, or None. Times are of one clock."""

    began: float
    ended: float
    error: str | None


@dataclass
class Load:
    """Users of a service, each of whom makes one call after the other."""

    url: str
    answers: list[Answered] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        users = [threading.Thread(target=self._use, args=[over]) for _ in range(USERS)]
        for user in users:
            user.start()
        try:
            yield
        finally:
            over.set()
            for user in users:
                user.join(LONGEST_SECONDS)
            assert not any(user.is_alive() for user in users), "a call has no end"

    def _use(self, over: threading.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                error = ask(self.url)
            except BaseException as failure:  # noqa: BLE001 - the test looks at it
                self.failures.append(failure)
                return
            self.answers.append(Answered(began, time.monotonic(), error))
            if error:
                time.sleep(0.5)  # as SDKs do

    def wait_for_more(self) -> float:
        """Wait until each user has made a call that began from now on. Return when that was."""
        now = time.monotonic()
        until(lambda: bool(self.failures) or len(self.since(now)) > USERS, seconds=LONGEST_SECONDS)
        assert self.failures == []
        return now

    def since(self, moment: float) -> list[Answered]:
        """Return the answers to calls that began after this moment."""
        return [each for each in self.answers if each.began > moment]


def ask(url: str) -> str | None:
    """Make a call. Return None if its text came whole, or the type of its error."""
    response, raw = invoke(url, BODY, SEVEN_B, STREAM)
    if response.status != 200:
        return response.headers["x-amzn-ErrorType"].partition(":")[0]
    last = split_frames(raw)[-1]
    if last.headers[":message-type"] == "exception":
        return str(last.headers[":exception-type"])
    [output] = json.loads(b64decode(json.loads(last.payload)["bytes"]))["outputs"]
    assert output["stop_reason"] in ("stop", "length")
    return None
