"""The dtype of vLLM's CPU build: float32 where the processors lack instructions for bfloat16."""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.demo import options as demo
from engine.demo.checkpoints import make_demo
from engine.vllm import dtype
from engine.vllm.dtype import computes_bfloat16, fit_dtype, is_slow_in_bfloat16
from engine.vllm.options import engine_arguments

pytestmark = pytest.mark.filterwarnings("default")

X86 = """\
processor\t: {}
vendor_id\t: AuthenticAMD
flags\t\t: fpu vme avx2 avx512f {}
vmx flags\t: vnmi avx512_bf16
bugs\t\t: sysret_ss_attrs
"""
ARM64 = """\
processor\t: {}
Features\t: fp asimd asimdhp {}
CPU implementer\t: 0x41
"""
POWER = "processor\t: 0\ncpu\t\t: POWER10 (architected), altivec supported\n"
RISCV = "processor\t: 0\nisa\t\t: rv64imafdcv\n"


@pytest.mark.parametrize(
    ("cpuinfo", "computes"),
    [
        (X86.format(0, "avx512_bf16"), True),
        (X86.format(0, "amx_bf16 amx_tile"), True),
        (X86.format(0, ""), False),
        (X86.format(0, "avx512_bf16x"), False),
        (X86.format(0, "avx512_bf16") + X86.format(1, "avx512_bf16"), True),
        (X86.format(0, "avx512_bf16") + X86.format(1, ""), False),
        (ARM64.format(0, "bf16"), True),
        (ARM64.format(0, "i8mm"), False),
        (POWER, None),
        (RISCV, None),
        ("", None),
    ],
)
def test_the_flags_of_all_processors_tell(cpuinfo: str, *, computes: bool | None) -> None:
    assert computes_bfloat16(cpuinfo) is computes


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Replace /proc/cpuinfo by that of a processor without bfloat16, on vLLM's CPU build."""
    file = tmp_path / "cpuinfo"
    file.write_text(X86.format(0, ""))
    monkeypatch.setattr(dtype, "CPUINFO", file)
    monkeypatch.setattr(dtype, "runs_on_cpu", lambda: True)
    forget()
    yield file
    forget()


def forget() -> None:
    is_slow_in_bfloat16.cache_clear()
    dtype.tell_once.cache_clear()


def test_what_cannot_be_read_is_left_to_vllm(processor: Path) -> None:
    processor.unlink()

    assert not is_slow_in_bfloat16()
    assert fit_dtype({"model": "any"}) == {"model": "any"}


@pytest.mark.usefixtures("processor")
def test_on_a_gpu_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtype, "runs_on_cpu", lambda: False)

    assert fit_dtype({"model": "any"}) == {"model": "any"}


@pytest.mark.parametrize("chosen", ["bfloat16", "auto"])
@pytest.mark.usefixtures("processor")
def test_the_operators_choice_stays(chosen: str) -> None:
    arguments = {"model": "any", "dtype": chosen}

    assert fit_dtype(arguments) == arguments


@pytest.mark.usefixtures("processor")
def test_bfloat16_becomes_float32_and_one_line_tells(
    checkpoints: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "engine.vllm.dtype")
    arguments = arguments_of(make_demo("dense", checkpoints))

    assert fit_dtype(arguments) == {**arguments, "dtype": "float32"}
    fit_dtype(arguments)
    [line] = [record.getMessage() for record in caplog.records if record.name == dtype.__name__]
    assert line.startswith("vLLM computes in float32, for this processor has no instructions")
    assert "`dtype: bfloat16`" in line


@pytest.mark.usefixtures("processor")
def test_weights_in_another_dtype_and_quantized_ones_are_left_to_vllm(
    checkpoints: Path, tmp_path: Path
) -> None:
    half = copy(checkpoints, tmp_path / "half", torch_dtype="float16")
    quantized = copy(
        checkpoints,
        tmp_path / "quantized",
        quantization_config={
            "quant_method": "awq",
            "bits": 4,
            "group_size": 64,
            "zero_point": True,
            "version": "gemm",
        },
    )

    for folder in (half, quantized):
        arguments = arguments_of(folder)
        assert fit_dtype(arguments) == arguments


def copy(checkpoints: Path, folder: Path, **config: Any) -> Path:
    """Write a dense demo checkpoint with other entries in its configuration."""
    shutil.copytree(make_demo("dense", checkpoints), folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def arguments_of(folder: Path) -> dict[str, Any]:
    return engine_arguments(str(folder), 1_024, demo.OPTIONS)
