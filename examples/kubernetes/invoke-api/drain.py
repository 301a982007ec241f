"""Wait until a vLLM server on this machine has no calls left, for at most the given seconds.

usage: drain.py SECONDS [PORT]
"""

import sys
import time
from http.client import HTTPConnection, HTTPException

LEFT = ("vllm:num_requests_running", "vllm:num_requests_waiting")
# A call may still be on its way from a balancer that has not noticed yet.
SETTLE_SECONDS = 5


def calls_left(port: str) -> float:
    connection = HTTPConnection("127.0.0.1", int(port), timeout=5)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(LEFT))


def main(seconds: str, port: str = "8000") -> None:
    end = time.monotonic() + float(seconds)
    time.sleep(min(SETTLE_SECONDS, float(seconds)))
    try:
        while calls_left(port) and time.monotonic() < end:
            time.sleep(0.5)
    except (OSError, HTTPException) as error:
        print(f"the server answers nothing, so nothing is left to wait for: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
