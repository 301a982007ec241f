"""W3C Trace Context: the headers `traceparent` and `tracestate` of a request."""

import re
from collections.abc import Mapping

# W3C Trace Context, 3.2.2. A later version may have more fields, after another dash.
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
MAX_CHARACTERS = 512  # of tracestate; W3C Trace Context, 3.3.1.5


def passed_on(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Return the trace context of a request for the next server; None without a valid one.

    The names of `headers` are in lower case.
    """
    parent = headers.get("traceparent")
    if parent is None or len(parent) > MAX_CHARACTERS or not TRACEPARENT.fullmatch(parent):
        return None
    state = headers.get("tracestate", "")
    if state and len(state) <= MAX_CHARACTERS and state.isascii() and state.isprintable():
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}
