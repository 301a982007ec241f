"""The scripts that say what an image is made of: its packages, and digests of what it is built on.

No registry is asked here. What `pin-images` sends and reads is as in the OCI Distribution
Specification and Docker's token authentication.
"""

import importlib.util
import json
import os
import subprocess
import sys
from email.message import Message
from importlib.machinery import SourceFileLoader
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from tests.support.servers import ROOT

SCRIPTS = ROOT / "scripts"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
OTHER = f"sha256:{'f' * 64}"


@pytest.fixture(scope="module")
def pin() -> ModuleType:
    loader = SourceFileLoader("pin_images", str(SCRIPTS / "pin-images"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_images_of_all_files_are_found(pin: ModuleType) -> None:
    found = {
        (name, tag)
        for file in pin.FILES
        for name, tag, _ in pin.images_of((ROOT / file).read_text())
    }

    assert found == {
        ("python", "3.11-slim-bookworm"),
        ("debian", "bookworm-slim"),
        ("prom/prometheus", "v3.5.0"),
        ("grafana/grafana", "12.1.0"),
        ("vllm/vllm-openai", "v0.26.0"),
        ("haproxy", "3.2"),
    }


TEXTS = [
    ("FROM python:3.11 AS a\n", f"FROM python:3.11@{DIGEST} AS a\n"),
    (f"FROM python:3.11@{OTHER} AS a\n", f"FROM python:3.11@{DIGEST} AS a\n"),
    ("    image: haproxy:3.2\n", f"    image: haproxy:3.2@{DIGEST}\n"),
    ("  image: ghcr.io/a/b:1.0 # words\n", f"  image: ghcr.io/a/b:1.0@{DIGEST} # words\n"),
    ("FROM scratch AS b\n", "FROM scratch AS b\n"),
    ("FROM for-${BUILD}\n", "FROM for-${BUILD}\n"),
    ("  image: invoke-api:remote # here\n", "  image: invoke-api:remote # here\n"),
    ("  image: {{ $f.image }}\n", "  image: {{ $f.image }}\n"),
]


@pytest.mark.parametrize(("text", "wanted"), TEXTS)
def test_a_digest_goes_behind_the_tag(pin: ModuleType, text: str, wanted: str) -> None:
    once = pin.pinned(text, lambda _name, _tag: DIGEST)

    assert once == wanted
    assert pin.pinned(once, lambda _name, _tag: DIGEST) == wanted
    assert all(is_pinned for _, _, is_pinned in pin.images_of(once))


def test_names_are_read_as_docker_reads_them(pin: ModuleType) -> None:
    hub = "registry-1.docker.io"
    names = {
        "haproxy": (hub, "library/haproxy"),
        "prom/prometheus": (hub, "prom/prometheus"),
        "ghcr.io/astral-sh/uv": ("ghcr.io", "astral-sh/uv"),
        "localhost/own": ("localhost", "own"),
        "host:5000/own": ("host:5000", "own"),
    }

    assert {name: pin.registry_of(name) for name in names} == names


class Registry:
    """A registry that wants a token, as Docker Hub does."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.asked: list[str] = []

    def open(self, request: Request | str, timeout: float) -> Any:
        assert timeout
        url = request if isinstance(request, str) else request.full_url
        self.asked.append(url)
        headers = Message()
        if isinstance(request, str):
            return BytesIO(json.dumps({"token": "abc"}).encode())
        assert request.get_method() == "HEAD"
        assert "application/vnd.oci.image.index.v1+json" in (request.get_header("Accept") or "")
        if request.get_header("Authorization") != "Bearer abc":
            headers["WWW-Authenticate"] = (
                'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
                'scope="repository:library/haproxy:pull"'
            )
            raise HTTPError(url, 401, "Unauthorized", headers, None)
        headers["Docker-Content-Digest"] = self.digest
        return _Answer(headers)


class _Answer:
    def __init__(self, headers: Message) -> None:
        self.headers = headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""


def test_a_registry_that_wants_a_token_is_asked_with_one(
    pin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(DIGEST)
    monkeypatch.setattr(pin, "urlopen", registry.open)
    manifest = "https://registry-1.docker.io/v2/library/haproxy/manifests/3.2"
    told = pin.ask("haproxy", "3.2")

    assert told == DIGEST
    assert registry.asked == [
        manifest,
        (
            "https://auth.docker.io/token?service=registry.docker.io"
            "&scope=repository%3Alibrary%2Fhaproxy%3Apull"
        ),
        manifest,
    ]


def test_a_file_stays_as_it_is_if_a_registry_tells_no_digest(
    pin: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pin, "urlopen", Registry("latest").open)
    file = tmp_path / "Dockerfile"
    file.write_text("FROM haproxy:3.2\n")
    status = pin.main([str(file)])

    assert status == 75
    assert file.read_text() == "FROM haproxy:3.2\n"
    assert "registry-1.docker.io told no digest of haproxy:3.2" in capsys.readouterr().err


def test_the_bill_of_materials_has_every_package(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    folder = Path(sys.executable).parent
    programs = {
        "UV": str(folder / "uv"),
        "PYTHON": sys.executable,
        "CYCLONEDX": str(folder / "cyclonedx-py"),
    }
    subprocess.run([SCRIPTS / "sbom", "scripted", file], check=True, env={**os.environ, **programs})
    bill = json.loads(file.read_text())
    names = {each["name"].lower() for each in bill["components"]}

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "bedrock-invoke-api"
    assert {"starlette", "hypercorn", "orjson", "jsonschema", "sentencepiece"} <= names
    assert not names & {"vllm", "torch", "boto3", "pytest"}
    assert all(each["version"] and each["purl"] for each in bill["components"])
