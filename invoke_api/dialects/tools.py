"""Tools that an answer must call, and the ids of calls in Bedrock's form and in Mistral's."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from string import ascii_letters, digits
from typing import Any

from engine.errors import ChatRefused
from engine.protocol import GenerationRequest, Tool
from invoke_api.dialects.converse_checks import Abilities

ALPHABET = ascii_letters + digits
MADE_HERE = re.compile(r"(?:tooluse_)?[A-Za-z0-9_-]{22}")


def make_id(request_id: str, number: int) -> str:
    """22 letters and digits for a request's call of this number."""
    return _spell(f"{request_id} {number}", 22)


def to_models_id(tool_call_id: str) -> str:
    """What the model reads: 9 characters in place of one of Bedrock's ids, any other as it is."""
    return _spell(tool_call_id, 9) if MADE_HERE.fullmatch(tool_call_id) else tool_call_id


def _spell(text: str, length: int) -> str:
    """So many letters and digits, always the same for the same text."""
    digest = sha256(text.encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:length])


# Mistral's word and OpenAI's, which the models of 2025 take too.
FORCING = ("any", "required")
# Guess: the model server's own sentences (vLLM), for Bedrock's were not heard.
NO_TOOLS = "When using `tool_choice`, `tools` must be set."
NO_SUCH_TOOL = "The tool specified in `tool_choice` does not match any of the specified `tools`"


@dataclass(frozen=True, slots=True)
class Forced:
    """The tools that an answer must call; none if it may be text. `one_call`: it calls only one."""

    tools: tuple[Tool, ...] = ()
    one_call: bool = False

    def hold(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request with these calls. Guess: a forced call wins over a JSON schema."""
        if not self.tools:
            return request
        return replace(request, must_call=self.tools, one_call=self.one_call, schema=None)


def is_forcing(choice: object) -> bool:
    """Tell whether a `tool_choice` wants a call: a word of `FORCING`, or an object with a name."""
    return isinstance(choice, Mapping) or choice in FORCING


def to_forced(choice: Any, tools: Sequence[Mapping[str, Any]]) -> Forced:  # noqa: ANN401 - checked by schema
    """Return what a `tool_choice` forces; `tools` are OpenAI-shaped, with parameters.

    Raises `ChatRefused` if the tools are missing, or the one that is named.
    """
    if not is_forcing(choice):
        return Forced()
    if not tools:
        raise ChatRefused(NO_TOOLS)
    functions = [tool["function"] for tool in tools]
    if choice in FORCING:
        return Forced(tuple(map(_to_tool, functions)))
    name = choice["function"]["name"]
    named = [function for function in functions if function["name"] == name]
    if not named:
        raise ChatRefused(NO_SUCH_TOOL)
    return Forced((_to_tool(named[0]),), one_call=True)


def _to_tool(function: Mapping[str, Any]) -> Tool:
    try:
        parameters = json.dumps(function["parameters"], allow_nan=False)
    except ValueError:  # it has a number that no double holds
        parameters = '{"type": "object"}'
    return Tool(function["name"], parameters)


def from_converse(asked: Mapping[str, Any], abilities: Abilities) -> Any:  # noqa: ANN401 - as a body has it
    """Return Converse's `toolChoice` as the `tool_choice` of a body."""
    choice = asked.get("toolConfig", {}).get("toolChoice", {})
    if "any" in choice:
        return "any"
    if "tool" in choice and abilities.named_tool == "called":
        return {"type": "function", "function": {"name": choice["tool"]["name"]}}
    return "auto"
