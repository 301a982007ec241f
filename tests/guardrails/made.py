"""Builders of guardrails from the members of CreateGuardrail."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.guardrails.guardrails_file import load_guardrails

SILENCED = "(silenced)"


def read(**policies: Any) -> tuple[Guardrail, list[str]]:
    """Return the guardrail, and the warnings for its operator."""
    entry = {
        "guardrailId": "abcdef123456",
        "name": "made",
        "blockedInputMessaging": "(refused)",
        "blockedOutputsMessaging": SILENCED,
        **policies,
    }
    with TemporaryDirectory() as folder:
        file = Path(folder) / "guardrails.yaml"
        file.write_text(json.dumps({"guardrails": [entry]}))
        guardrails, remarks = load_guardrails(file)
    return guardrails[0], remarks


def words(*texts: str) -> dict[str, Any]:
    return {"wordPolicyConfig": {"wordsConfig": [{"text": text} for text in texts]}}


def sensitive(
    pii: dict[str, str] | None = None, regexes: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return a policy. `pii` is action by type; patterns by name are anonymized."""
    types = [{"type": kind, "action": action} for kind, action in (pii or {}).items()]
    named = [
        {"name": name, "pattern": pattern, "action": "ANONYMIZE"}
        for name, pattern in (regexes or {}).items()
    ]
    config = {"piiEntitiesConfig": types, "regexesConfig": named}
    return {"sensitiveInformationPolicyConfig": {key: each for key, each in config.items() if each}}
