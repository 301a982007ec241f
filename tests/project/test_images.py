"""The images of the Dockerfile, without Docker, which does not run here.

Those without vLLM are made by two scripts. They run here, and the service runs in what they make:
read-only and not as root, as Compose and the Helm chart run it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.support.confined import can_confine, confined, confined_running
from tests.support.images import png
from tests.support.servers import PIXTRAL, ROOT, call, invoke, wait_until_ready

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = ("docker-compose.yml", "examples/fleet/compose.yaml")
MOST_BYTES = 250_000_000
PROGRAMS = ("sh", "bash", "dash", "cc", "gcc", "g++", "ld", "apt", "dpkg", "pip", "uv")


def is_debian_12() -> bool:
    """Tell whether apt-get downloads Debian 12's packages here, as in the Dockerfile's stage."""
    if not shutil.which("apt-cache"):
        return False
    done = subprocess.run(
        ["apt-cache", "policy", "libpython3.11-stdlib"], capture_output=True, text=True, check=False
    )
    return "Candidate: 3.11" in done.stdout


def variables() -> Mapping[str, str]:
    """Return the variables of the last stages of the Dockerfile."""
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    texts = [next(each for each in stages if " AS without-vllm\n" in each), stages[-1]]
    found = [re.findall(r"(?:ENV | {4})(\w+)=(\S+)", text) for text in texts]
    return {name: value for pairs in found for name, value in pairs}


@pytest.fixture(scope="module", params=["remote", "scripted"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not is_debian_12():
        pytest.skip("scripts/image-system needs Debian 12")
    folder = tmp_path_factory.mktemp("image")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    made = folder / "root"
    programs = {"UV": str(Path(sys.executable).parent / "uv"), "PYTHON": sys.executable}
    system = [ROOT / "scripts" / "image-system", made]
    packages = [ROOT / "scripts" / "image-packages", made / "opt" / "packages", request.param]
    for command in (system, packages):
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **programs})
    return made


@pytest.fixture
def readonly(root: Path) -> Path:
    if not can_confine():
        pytest.skip("mounting needs root and a kernel that allows it")
    return root


def test_it_is_small(root: Path) -> None:
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]

    assert sum(path.stat().st_size for path in files) < MOST_BYTES


def test_it_has_no_shell_compiler_or_package_manager(root: Path) -> None:
    named = {path.name for path in root.rglob("*") if path.parent.name in ("bin", "sbin")}

    assert "python3.11" in named
    assert not named & {*PROGRAMS}


def environment() -> dict[str, str]:
    """Return the image's variables. `unshare` and `chroot` themselves are found beside them."""
    return {**variables(), "PATH": f"{variables()['PATH']}:/usr/sbin:/sbin:/bin"}


def test_it_serves_nobody_without_a_word(readonly: Path) -> None:
    command = confined(readonly, "python3.11", "-m", "invoke_api", "serve", "--engine", "scripted")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environment()
    )

    assert done.returncode == 2
    assert "On 0.0.0.0 anybody who reaches this machine could use the models." in done.stderr


def test_it_serves_from_a_file_system_that_nobody_may_write(readonly: Path) -> None:
    command = [
        *("python3.11", "-m", "invoke_api", "serve", "--engine", "scripted"),
        *("--port", "0", "--allow-anonymous"),
    ]
    picture = {"format": "png", "source": {"bytes": b64encode(png()).decode()}}
    content = [{"text": "What is this?"}, {"image": picture}]
    asked = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    with confined_running(readonly, *command, environment=environment()) as told:
        url = told.replace("0.0.0.0", "127.0.0.1")
        wait_until_ready(url, 60)
        answered, _ = invoke(url, {"prompt": "Hi", "max_tokens": 5})
        # Worker processes read the picture.
        seen, text = call(url, "POST", f"/model/{quote(PIXTRAL, safe='')}/converse", asked)

    assert (answered.status, seen.status) == (200, 200), text


def test_it_is_not_root_and_knows_certificates(readonly: Path) -> None:
    program = (
        "import errno, os, ssl\n"
        "try: open('/opt/packages/x', 'w')\n"
        "except OSError as error: print(errno.errorcode[error.errno])\n"
        "print(os.getuid(), len(ssl.create_default_context().get_ca_certs()) > 100)"
    )
    done = subprocess.run(
        confined(readonly, "python3.11", "-c", program),
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )

    assert done.stdout == "EROFS\n1000 True\n"


def test_no_image_says_that_everybody_may_call() -> None:
    assert "ANONYMOUS=" not in DOCKERFILE
    assert variables()["INVOKE_API_HOST"] == "0.0.0.0"
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["1000"]
    assert DOCKERFILE.index("USER 1000") > DOCKERFILE.index("FROM for-${BUILD}")


def own_services() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in COMPOSE:
        services = yaml.safe_load((ROOT / name).read_text())["services"]
        for key, each in services.items():
            if "build" in each:
                yield f"{name} {key}", each


@pytest.mark.parametrize("served", [each for _, each in own_services()], ids=dict(own_services()))
def test_compose_runs_the_service_read_only(served: dict[str, Any]) -> None:
    folders = {each.partition(":")[0] for each in served["tmpfs"]}

    assert served["read_only"] is True
    assert served["cap_drop"] == ["ALL"]
    assert folders == {"/tmp", "/home/invoke/.cache"}


@pytest.mark.parametrize("served", [each for _, each in own_services()], ids=dict(own_services()))
def test_compose_says_who_may_call_and_publishes_on_loopback(served: dict[str, Any]) -> None:
    is_said = "INVOKE_API_ALLOW_ANONYMOUS" in served.get("environment", {})

    assert is_said or "--allow-anonymous" in served["command"]
    assert all(port.startswith("127.0.0.1:") for port in served["ports"])
