"""Prometheus and promtool, as `scripts/setup` puts them below .venv where the machine has none."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.servers import ROOT

UNPACKED = ROOT / ".venv" / "prometheus" / "usr" / "bin"


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; scripts/setup says if it is missing."""
    return which(name) or str(UNPACKED / name)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False
    )


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self.port = port

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query. Raises `ValueError` if it is refused."""
        answer = json.loads(self._get("/api/v1/query", query=expression))
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def alerting_rules(self) -> list[dict[str, Any]]:
        groups = json.loads(self._get("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Return once the expression has a sample."""
        end = time.monotonic() + seconds
        while True:
            try:
                if self.query(expression):
                    return
            except OSError:
                pass  # it does not listen yet
            assert time.monotonic() < end, f"{expression} has no sample"
            time.sleep(0.2)

    def _get(self, path: str, **query: str) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}")
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def prometheus_running(folder: Path, url: str, rules: Path, port: int) -> Iterator[Prometheus]:
    """Run Prometheus with these rules; it scrapes the service at `url` every second."""
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": "invoke-api", "static_configs": [{"targets": [urlsplit(url).netloc]}]}
        ],
    }
    file = folder / "prometheus.json"  # JSON is YAML, too
    file.write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
            cwd=folder,
        )
        try:
            yield Prometheus(port)
        finally:
            process.terminate()
            process.wait(timeout=60)
