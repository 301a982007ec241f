"""Bodies of vLLM's `/v1/completions`: their members, and refusals in vLLM's words. Pure.

The types and bounds are those of vLLM 0.32's `CompletionRequest`, and so are all sentences; a test
compares both servers. Import this module inside functions: pydantic takes a while to import.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from invoke_api.openai.completions_checks import CHECKS
from invoke_api.openai.errors import vllm_refusal
from invoke_api.wire.errors import ValidationException

MAX_STOP_STRINGS = 4
INT64 = 2**63
# Parts of a pydantic error's place that name its own types, and no member of the body.
INTERNAL = re.compile(r"[\[\]{}()]")
TYPE_NAMES = frozenset(
    {
        *("str", "int", "float", "bool", "bytes", "list", "dict", "none", "nullable"),
        *("ResponseFormat", "StructuralTag", "LegacyStructuralTag"),
    }
)
MAX_ERRORS, MAX_INPUT_CHARACTERS, MAX_ERROR_CHARACTERS = 10, 200, 1_000
NOT_PARSED = "There was an error parsing the body"
MIN_REPETITIONS = 2
BAD_PATTERN = (
    "max_pattern_size, min_pattern_size must be >=0, with min_pattern_size <= max_pattern_size. Set"
    " both to 0 to disable repetitive pattern detection."
)
FEW_REPETITIONS = (
    "min_count must be >= 2 to detect repetitive patterns in engine output. If you do not wish to"
    " detect repetitive patterns, set max_pattern_size to 0."
)

TokenId = Annotated[int, Field(ge=0)]
Int64 = Annotated[int, Field(ge=-INT64, le=INT64 - 1)]


class StreamOptions(BaseModel):
    """The member `stream_options`."""

    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class NamedSchema(BaseModel):
    """The member `response_format.json_schema`."""

    name: str
    description: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """The member `response_format`, but for structural tags."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StructuralTag(BaseModel):
    """A structural tag in `response_format`."""

    model_config = ConfigDict(extra="allow")
    type: Literal["structural_tag"]
    format: Any


class TagStructure(BaseModel):
    """One text between tags, of the older form of structural tags."""

    model_config = ConfigDict(extra="allow")
    begin: str
    structural_tag_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    end: str


class LegacyStructuralTag(BaseModel):
    """A structural tag of the older form in `response_format`."""

    model_config = ConfigDict(extra="allow")
    type: Literal["structural_tag"]
    structures: list[TagStructure]
    triggers: list[str]


class StructuredOutputs(BaseModel):
    """The member `structured_outputs`."""

    json_: str | dict[str, Any] | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None
    structural_tag: str | None = None


@dataclass
class RepetitionDetectionParams:
    """The member `repetition_detection`. pydantic's messages have this name, as vLLM's do."""

    max_pattern_size: int = 0
    min_pattern_size: int = 0
    min_count: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.min_pattern_size <= self.max_pattern_size:
            raise vllm_refusal(BAD_PATTERN)
        if self.max_pattern_size and self.min_count < MIN_REPETITIONS:
            raise vllm_refusal(FEW_REPETITIONS)


class CompletionBody(BaseModel):
    """A body. Members that it does not list are ignored, as vLLM ignores them."""

    model: str | None = None
    prompt: list[TokenId] | list[list[TokenId]] | str | list[str] | None = None
    echo: bool | None = False
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    max_tokens: int | None = 16
    n: int = 1
    presence_penalty: float | None = None
    seed: Int64 | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOP_STRINGS)] | None = []
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    use_beam_search: bool = False
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    stop_token_ids: list[int] | None = []
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    skip_special_tokens: bool = True
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, le=INT64 - 1)] | None = None
    truncation_side: Literal["left", "right"] | None = None
    allowed_token_ids: list[int] | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: list[int] | None = None
    bad_words: list[str] = []
    prompt_embeds: Any = None
    add_special_tokens: bool = True
    response_format: ResponseFormat | StructuralTag | LegacyStructuralTag | None = None
    structured_outputs: StructuredOutputs | None = None
    priority: Int64 = 0  # only a server with priority scheduling heeds it
    request_id: str = ""
    return_tokens_as_token_ids: bool | None = None
    return_token_ids: bool | None = None
    cache_salt: Any = None
    repetition_detection: RepetitionDetectionParams | None = None
    thinking_token_budget: Any = None
    # vLLM ignores these here, but for their types.
    length_penalty: float = 1.0
    spaces_between_special_tokens: bool = True
    watermarking: bool | None = None
    session_id: str | None = None
    stream_interval: Annotated[int, Field(ge=1)] | None = None
    routed_experts_prompt_start: int = Field(0, ge=0)
    return_token_offsets: bool | None = False
    kv_transfer_params: dict[str, Any] | None = None
    ec_transfer_params: dict[str, Any] | None = None
    vllm_xargs: dict[str, str | int | float | list[str | int | float]] | None = None


ADAPTER = TypeAdapter(CompletionBody)


def parse_completion(raw: bytes, content_type: str) -> CompletionBody:
    """Return a body. Raises `ValidationException`s in vLLM's words."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/json":
        raise _invalid(["Unsupported Media Type: Only 'application/json' is allowed"])
    value = _parse_json(raw)
    if isinstance(value, dict):
        for check in CHECKS:
            check(value)
        if value.get("max_tokens") is None:
            value = {key: each for key, each in value.items() if key != "max_tokens"}
    try:
        return ADAPTER.validate_python(value, from_attributes=True)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False)) from None


def _parse_json(raw: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON of a body, read as Python's own reader does. Raises `ValidationException`.

    Guess: the words for what vLLM answers in FastAPI's form, or with status 500.
    """
    if not raw:
        missing = {"type": "missing", "loc": (), "msg": "Field required", "input": None}
        raise _invalid([missing])
    try:
        value = json.loads(raw.decode())  # from bytes, Python would take lone surrogates
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    except json.JSONDecodeError as error:
        invalid = {"type": "json_invalid", "loc": (error.pos,), "msg": "JSON decode error"}
        raise _invalid([{**invalid, "input": {}, "ctx": {"error": error.msg}}]) from None
    except (ValueError, RecursionError):
        raise vllm_refusal(NOT_PARSED) from None
    return value


def _invalid(errors: Sequence[Any]) -> ValidationException:
    """Return the refusal of a body that has these errors of pydantic's, as vLLM words it."""
    label = "error" if len(errors) == 1 else "errors"
    lines = [f"  {_describe(error)}" for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        lines.append(f"  ...and {len(errors) - MAX_ERRORS} more {label}")
    message = "\n".join([f"{len(errors)} validation {label}:", *lines])
    first = errors[0]
    place = _place(first["loc"]) if isinstance(first, dict) else None
    return vllm_refusal(message, place, kind="Bad Request", tells_parameter=False)


def _describe(error: Any) -> str:  # noqa: ANN401 - pydantic's, or a sentence
    if isinstance(error, dict):
        error = {**error, "loc": _place(error["loc"]), "input": _summarize(error["input"])}
    text = str(error)
    return _cut(text, MAX_ERROR_CHARACTERS)


def _place(steps: Sequence[int | str]) -> str:
    """Return the path of a wrong member, without pydantic's steps into its own types."""
    named = [str(step) for step in steps]
    kept = [step for step in named if not INTERNAL.search(step) and step not in TYPE_NAMES]
    return ".".join(["body", *kept])


def _summarize(value: object) -> str:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    return _cut(str(value), MAX_INPUT_CHARACTERS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}...[truncated]"
