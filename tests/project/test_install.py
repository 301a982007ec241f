"""A clean environment without torch and vLLM runs the scripted engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT, command_running, invoke, wait_until_ready

UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a new environment with a wheel of this project without extras."""
    folder = tmp_path_factory.mktemp("clean")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", folder / "wheel", ROOT)
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    [wheel] = (folder / "wheel").glob("*.whl")
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
