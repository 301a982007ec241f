"""A clean environment without torch and vLLM runs the scripted engine."""

import re
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest

from tests.support.servers import ROOT, command_running, invoke, wait_until_ready

UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a source distribution as for a release."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--installer", "uv", "--outdir", folder, ROOT)
    [wheel] = folder.glob("bedrock_invoke_api-*.whl")
    return wheel


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a new environment with the wheel, without extras."""
    folder = tmp_path_factory.mktemp("clean")
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    run(UV, "pip", "install", "--quiet", "--python", folder / "venv" / "bin" / "python", wheel)
    return folder / "venv" / "bin"


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_answers_with_neither_torch_nor_vllm(clean: Path) -> None:
    missing = "import importlib.util as i; print([i.find_spec(n) for n in ('torch', 'vllm')])"
    with command_running(
        [str(clean / "invoke-api"), "serve", "--engine", "scripted", "--port", "0"]
    ) as url:
        wait_until_ready(url, seconds=30)
        response, _ = invoke(url, {"prompt": "Hi"})

    assert run(clean / "python", "-c", missing) == "[None, None]\n"
    assert response.status == 200


def test_its_own_check_passes_where_it_is_installed(clean: Path) -> None:
    assert run(clean / "invoke-api", "check").endswith("15 models, no mistakes\n")


def test_asking_for_vllm_without_vllm_is_a_sentence_with_the_way_on(clean: Path) -> None:
    done = subprocess.run(
        [clean / "invoke-api", "serve"], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Error: vLLM is not installed;")
    assert "--engine scripted" in done.stderr


def test_it_brings_its_types(clean: Path) -> None:
    code = "from importlib.resources import files; print(files('invoke_api') / 'py.typed')"

    assert Path(run(clean / "python", "-P", "-c", code).strip()).is_file()


def test_an_applications_own_engine_and_schemas_do_not_get_in_the_way(
    clean: Path, tmp_path: Path
) -> None:
    for name in ("engine", "schemas"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong one')")
    for command in ([clean / "invoke-api"], [clean / "python", "-m", "invoke_api"]):
        done = subprocess.run(
            [*command, "check"], cwd=tmp_path, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stderr


def test_the_wheel_has_one_package_at_the_top(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        tops = {name.split("/")[0] for name in opened.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"invoke_api"}


def test_the_readmes_links_lead_out_of_the_package_index(wheel: Path) -> None:
    with ZipFile(wheel) as opened:
        [name] = [each for each in opened.namelist() if each.endswith("METADATA")]
        metadata = message_from_bytes(opened.read(name))
    links = re.findall(r"\]\(([^)]+)\)", str(metadata.get_payload()))
    urls = [str(each).split(", ")[0] for each in metadata.get_all("Project-URL", [])]

    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert {"Documentation", "Changelog", "Source"} <= set(urls)
    assert "Topic :: Software Development :: Testing :: Mocking" in metadata.get_all(
        "Classifier", []
    )


THEIRS = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "theirs"
version = "1.0"

[tool.hatch.build.targets.wheel]
packages = [{packages}]
"""


def make_theirs(folder: Path, prefix: str) -> Path:
    """Make the folder of another distribution, which has packages of the names of ours."""
    names = [f"{prefix}{name}" for name in ("engine", "schemas")]
    packages = ", ".join(f'"{name}"' for name in names)
    (folder / "pyproject.toml").write_text(THEIRS.format(packages=packages))
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("WHOSE = 'theirs'\n")
    return folder


class Case(NamedTuple):
    """The order and kind of two installations. `layout` is the folder of the other packages."""

    order: str
    layout: str = ""
    is_theirs_editable: bool = False
    is_ours_editable: bool = False


CASES = [
    *(Case(order) for order in ("ours first", "theirs first")),
    *(Case(order, "src/", is_theirs_editable=True) for order in ("ours first", "theirs first")),
    Case("ours first", "src/", is_ours_editable=True),
    Case("theirs first", is_theirs_editable=True, is_ours_editable=True),
]


@pytest.mark.parametrize("case", CASES)
def test_another_distribution_may_have_packages_of_the_same_names(
    clean: Path, wheel: Path, tmp_path: Path, case: Case
) -> None:
    theirs = make_theirs(tmp_path, case.layout)
    python = clean / "python"
    mine = ["--no-deps", *(["--editable", ROOT] if case.is_ours_editable else [wheel])]
    other = ["--editable", theirs] if case.is_theirs_editable else [theirs]
    uninstall_both(python)
    run(UV, "pip", "install", "--quiet", "--python", python, "editables")
    for arguments in [mine, other] if case.order == "ours first" else [other, mine]:
        run(UV, "pip", "install", "--quiet", "--python", python, *arguments)
    try:
        both = "import engine, schemas; print(engine.WHOSE, schemas.WHOSE)"
        assert run(python, "-P", "-c", both) == "theirs theirs\n"
        assert_answers(clean)

        run(UV, "pip", "uninstall", "--quiet", "--python", python, "bedrock-invoke-api")
        assert run(python, "-P", "-c", both) == "theirs theirs\n"
        run(UV, "pip", "install", "--quiet", "--python", python, *mine)
        run(UV, "pip", "uninstall", "--quiet", "--python", python, "theirs")
        assert_answers(clean)
    finally:
        uninstall_both(python)
        run(UV, "pip", "install", "--quiet", "--python", python, wheel)


def uninstall_both(python: Path) -> None:
    names = ("bedrock-invoke-api", "theirs")
    run(UV, "pip", "uninstall", "--quiet", "--python", python, *names)


def assert_answers(clean: Path) -> None:
    """Check that the service runs: its own `engine` generates the text, and schemas are read."""
    program = (
        "import json\n"
        "from invoke_api.testing import bedrock_running\n"
        "from urllib.request import Request, urlopen\n"
        "with bedrock_running() as bedrock:\n"
        "    path = '/model/mistral.mistral-7b-instruct-v0%3A2/invoke'\n"
        '    request = Request(bedrock.url + path, b\'{"prompt": "Hi"}\')\n'
        "    request.add_header('Content-Type', 'application/json')\n"
        "    print(json.load(urlopen(request))['outputs'][0]['stop_reason'])\n"
    )

    assert run(clean / "python", "-P", "-c", program) == "stop\n"


def test_a_process_with_another_engine_is_told_to_leave_the_service_alone(
    clean: Path, tmp_path: Path
) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").touch()
    done = subprocess.run(
        [clean / "python", "-c", "import engine, invoke_api.asgi"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "so Invoke API can't import its own `engine`" in done.stderr


def test_on_windows_a_sentence_says_where_it_runs(clean: Path) -> None:
    program = "import runpy, sys; sys.platform = 'win32'; runpy.run_module('invoke_api')"
    done = subprocess.run(
        [clean / "python", "-c", program], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == (
        "Invoke API needs Linux or macOS. On Windows, run it in WSL 2 or in Docker.\n"
    )
