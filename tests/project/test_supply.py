"""The scripts that say what an image is made of: its packages, and digests of what it is built on.

No registry is asked here: `pin-images` runs a program in place of Docker.
"""

import importlib.util
import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

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


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in place of Docker, which prints a digest. Return the file of its arguments."""
    program, asked = tmp_path / "docker", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$*" >>{asked}\necho "$DIGEST"; exit "$STATUS"\n')
    program.chmod(0o755)
    for name, value in {"PATH": str(tmp_path), "DIGEST": DIGEST, "STATUS": "0"}.items():
        monkeypatch.setenv(name, value)
    return asked


def test_docker_is_asked_for_the_digest(pin: ModuleType, docker: Path, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM haproxy:3.2\n")

    assert pin.main([str(file)]) == 0
    assert file.read_text() == f"FROM haproxy:3.2@{DIGEST}\n"
    assert docker.read_text() == (
        "buildx imagetools inspect --format {{.Manifest.Digest}} haproxy:3.2\n"
    )


@pytest.mark.parametrize("told", [("latest", "0"), ("", "0"), (DIGEST, "1")])
def test_a_file_stays_as_it_is_without_a_digest(
    pin: ModuleType,
    docker: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    told: tuple[str, str],
) -> None:
    for name, value in zip(("DIGEST", "STATUS"), told, strict=True):
        monkeypatch.setenv(name, value)
    file = docker.with_name("Dockerfile")
    file.write_text("FROM haproxy:3.2\n")

    assert pin.main([str(file)]) == 75
    assert file.read_text() == "FROM haproxy:3.2\n"
    assert "docker tells no digest of haproxy:3.2" in capsys.readouterr().err


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
