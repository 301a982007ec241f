"""Start-up and memory of the scripted engine: process start to first answer, and resident size.

usage: python bench/startup.py [--rounds N]
Fails with status 1 over the budget: 1.0 s and 120 MB in the median.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import psutil

COMMAND = [str(Path(sys.executable).parent / "invoke-api"), "serve", "--engine", "scripted"]
PATH = "/model/mistral.mistral-7b-instruct-v0%3A2/invoke"
SECONDS, MEGABYTES = 1.0, 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = [measure() for _ in range(parser.parse_args().rounds)]
    seconds, megabytes = (median(column) for column in zip(*rounds, strict=True))
    slowest, largest = (max(column) for column in zip(*rounds, strict=True))
    print(f"first answer   median {seconds:.2f} s, slowest {slowest:.2f} s, budget {SECONDS} s")
    sizes = f"median {megabytes:.0f} MB, largest {largest:.0f} MB, budget {MEGABYTES:.0f} MB"
    print(f"resident size  {sizes}")
    sys.exit(seconds > SECONDS or megabytes > MEGABYTES)


def measure() -> tuple[float, float]:
    """Seconds from the start of the process to its first answer, and its resident megabytes."""
    began = time.perf_counter()
    process = subprocess.Popen([*COMMAND, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        found = re.search(r"http://([\d.]+):(\d+)", process.stderr.readline())
        assert found, "the server did not say where it listens"
        wait_for_answer(found[1], int(found[2]))
        seconds = time.perf_counter() - began
        return seconds, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.terminate()
        process.communicate()


def wait_for_answer(host: str, port: int) -> None:
    body = json.dumps({"prompt": "Say this is a test", "max_tokens": 20})
    while True:
        connection = HTTPConnection(host, port)
        connection.request("POST", PATH, body)
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status == 200:
            return
        assert response.status == 429, f"status {response.status}"
        time.sleep(0.005)


if __name__ == "__main__":
    main()
