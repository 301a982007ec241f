"""Findings of `invoke-api check`, and the JSON of `check` and `models`.

docs/operate/models.md has the keys of the JSON.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.demo.smollm2 import NAME as SMOLLM2
from invoke_api.models.adapter_checks import remarks, slot_problems
from invoke_api.models.engine_factory import missing_weights
from invoke_api.models.registry import Model, Registry, load_registry
from invoke_api.yaml_files import ConfigError

PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?: (?P<message>.+)", re.DOTALL)


@dataclass(slots=True)
class CheckReport:
    """The result of a check. A mistake begins with file and line; a note is for information.

    `found` is None if the registry can't be read.
    """

    path: Path
    found: Registry | None = None
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "registry": str(self.path),
            "ok": not self.mistakes,
            "models": len(self.found.models) if self.found else None,
            "arns": len(self.found.arns) if self.found else None,
            "mistakes": [_place(each) for each in self.mistakes],
            "notes": self.notes,
        }


def check_registry(path: Path) -> CheckReport:
    """Check a registry, its schemas, and its folders of weights and adapters."""
    report = CheckReport(path)
    try:
        report.found = load_registry(path)
    except ConfigError as error:
        report.mistakes += str(error).splitlines()
        return report
    every = report.found.models.values()
    report.notes += [
        f"{model.id}: has the engine remote and no url, so serve needs --remote URL"
        for model in every
        if model.engine == "remote" and "url" not in model.remote
    ]
    models = [model for model in every if model.engine == "vllm"]
    missing = [each for model in models if (each := missing_weights(model))]
    report.mistakes += [each.sentence for each in missing if not each.hub_id]
    report.mistakes += slot_problems(models)
    report.notes += remarks(models)
    if ids := dict.fromkeys(each.hub_id for each in missing if each.hub_id):
        report.notes.append(f"not in the local cache of Hugging Face's hub: {', '.join(ids)}")
    return report


def _place(mistake: str) -> dict[str, str | int | None]:
    """Return a mistake as file, line and message. Without a place, file and line are None."""
    found = PLACE.fullmatch(mistake)
    if not found:
        return {"file": None, "line": None, "message": mistake}
    line = found["line"]
    return {
        "file": found["file"],
        "line": int(line) if line else None,
        "message": found["message"],
    }


def apis_of(model: Model) -> list[str]:
    """Return the APIs that serve a model, as in docs/completions.md."""
    own = "Bedrock" if model.listing.is_catalogued else "ARNs"
    return [own, *(["OpenAI"] if model.created is not None else []), "completions"]


def stand_in_of(model: Model, *, demo: bool) -> str | None:
    """Return why the weights that run are not the model's own, or None if they are.

    `demo` is that of `serve --demo`.
    """
    return f"{SMOLLM2} stands in for the model" if _is_demo(model, demo=demo) else model.stand_in


def weights_of(model: Model, *, demo: bool) -> str:
    """Return the weights that run, without the model's adapter."""
    return SMOLLM2 if _is_demo(model, demo=demo) else model.weights


def _is_demo(model: Model, *, demo: bool) -> bool:
    return demo and model.engine == "vllm"


def model_as_json(model: Model, *, demo: bool) -> dict[str, Any]:
    regions = model.listing.regions
    adapter = None if _is_demo(model, demo=demo) else model.adapter
    return {
        "id": model.id,
        "name": model.listing.name,
        "dialect": model.dialect_name,
        "served_by": apis_of(model),
        "context_length": model.context_length,
        "engine": model.engine,
        "weights": weights_of(model, demo=demo),
        "adapter": adapter.name if adapter else None,
        "stand_in": stand_in_of(model, demo=demo),
        "regions": None if regions is None else [*regions],
        "profiles": {name: [*each] for name, each in model.listing.profiles.items()},
    }
