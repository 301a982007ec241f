"""Forced tool calls, and the ids of tool calls in Bedrock's form and in Mistral's."""

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

ID_CHARACTERS = ascii_letters + digits
BEDROCK_CALL_ID = re.compile(r"(?:tooluse_)?[A-Za-z0-9_-]{22}")

# Mistral's word and OpenAI's. The models of 2025 take both.
FORCING_CHOICES = ("any", "required")
# Guess: vLLM's messages, because Bedrock's are not recorded.
NO_TOOLS = "When using `tool_choice`, `tools` must be set."
NO_SUCH_TOOL = "The tool specified in `tool_choice` does not match any of the specified `tools`"


@dataclass(frozen=True, slots=True)
class ForcedTools:
    """The tools that an answer must call, or none if it may be text.

    `one_call` limits the answer to one call.
    """

    tools: tuple[Tool, ...] = ()
    one_call: bool = False

    def apply_to(self, request: GenerationRequest) -> GenerationRequest:
        """Return the request with these calls. Guess: a forced call overrides a JSON schema."""
        if not self.tools:
            return request
        return replace(request, must_call=self.tools, one_call=self.one_call, schema=None)


def make_id(request_id: str, number: int) -> str:
    """Return an id of 22 letters and digits for one call of a request."""
    return _spell(f"{request_id} {number}", 22)


def to_models_id(tool_call_id: str) -> str:
    """Return 9 letters and digits in place of one of Bedrock's ids, and other ids unchanged."""
    return _spell(tool_call_id, 9) if BEDROCK_CALL_ID.fullmatch(tool_call_id) else tool_call_id


def _spell(text: str, length: int) -> str:
    """Return `length` letters and digits that follow from the text alone."""
    digest = sha256(text.encode()).digest()
    return "".join(ID_CHARACTERS[byte % len(ID_CHARACTERS)] for byte in digest[:length])


def is_forcing(choice: object) -> bool:
    """Tell whether a `tool_choice` forces a call: a word, or an object that names a tool."""
    return isinstance(choice, Mapping) or choice in FORCING_CHOICES


def to_forced(choice: Any, tools: Sequence[Mapping[str, Any]]) -> ForcedTools:  # noqa: ANN401 - checked by schema
    """Return the calls that a `tool_choice` forces. `tools` are OpenAI-shaped, with parameters.

    Raises `ChatRefused` if there are no tools, or none with the name in the `tool_choice`.
    """
    if not is_forcing(choice):
        return ForcedTools()
    if not tools:
        raise ChatRefused(NO_TOOLS)
    functions = [tool["function"] for tool in tools]
    if choice in FORCING_CHOICES:
        return ForcedTools(tuple(map(_to_tool, functions)))
    name = choice["function"]["name"]
    named = [function for function in functions if function["name"] == name]
    if not named:
        raise ChatRefused(NO_SUCH_TOOL)
    return ForcedTools((_to_tool(named[0]),), one_call=True)


def _to_tool(function: Mapping[str, Any]) -> Tool:
    try:
        parameters = json.dumps(function["parameters"], allow_nan=False)
    except ValueError:  # a number beyond a double's range
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
