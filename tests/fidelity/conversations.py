"""Token counts of conversations by Converse, which show each model's chat template.

Where more than one rendering was possible, these rows decide:

- Blanks and newlines at the end of a text are removed, in user and system texts to Large 2407 and
  Pixtral: 29 prompts of the one and 3 of the other, of 2025-04, fit to the token with this rule,
  and none fits without it. Earlier, on 2024-10-31, they were kept: two prompts of Large 2407, one
  of Mixtral. So only the newer server removes them; no recording shows it for another model.
- The definition of a tool is written as `json.dumps` writes it, members in the order `name`,
  `description`, `parameters`; a missing description is empty: the two tools of the same notebook,
  222 tokens in each of 7 prompts, and `get_file`.
- The keys of a schema: `type` and `properties` come first for Pixtral (`get_file`, sent in
  alphabetical order). For the models of 2025 all keys are sorted (`top_song`, sent with `type`
  first; only the keys directly below `parameters` decide it).
- The texts of one result of a tool are joined without a separator (`get_photo`, once and twice; one
  blank fits as well).
- Documents are a list of XML elements with the name's extension in it (`get_file` with a document;
  a rendering as indented JSON fits as well). Their place in a user's turn is a guess.
- There is no recorded count of the calls and results of Large and Small 2402, nor of a result that
  is JSON for any model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.engine.uploads.pdf import pages_of, text_page
from tests.fidelity.case import GUESS
from tests.support.images import png
from tests.support.servers import (
    LARGE,
    LARGE_3,
    LARGE_2407,
    MINISTRAL_3B,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    SMALL,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
)
from tests.support.sounds import tone

MANTLE = "crmne/ruby_llm's recording of bedrock-mantle, of an MP3"
LAGO = "getlago/lago-agent-sdk-python's recordings, eu-west-1, 2026-04-28"
PYDANTIC = "pydantic/pydantic-ai's recordings of Pixtral, us-east-1, 2026"
NOTEBOOK = "a notebook in aws-samples/mistral-on-aws, us-west-2, 2025-04-24: 32 prompts"
QUESTION = "One sentence about dolphins."
DEVSTRAL = "mistral.devstral-2-123b"
UNSTREAMED = (PIXTRAL, LARGE_2407, LARGE, SMALL)  # ConverseStream refuses tools for them


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A conversation, and the input tokens that Converse must report for it.

    Without `messages`, `text` is the only message. ConverseStream must report the same number,
    unless it refuses the tools.
    """

    name: str
    model: str
    tokens: int
    seen: str = LAGO
    why: str = ""
    text: str = QUESTION
    messages: Sequence[Mapping[str, Any]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    region: str = "eu-west-1"

    @property
    def operations(self) -> tuple[str, ...]:
        """Return both operations, or one if the model takes no tools in streams."""
        is_unstreamed = "toolConfig" in self.more and self.model in UNSTREAMED
        return ("converse",) if is_unstreamed else ("converse", "converse-stream")

    def to_body(self) -> dict[str, Any]:
        messages = self.messages or [user({"text": self.text})]
        inference = {"maxTokens": 3, "temperature": 0}
        return {"messages": messages, "inferenceConfig": inference, **self.more}


def user(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def use(tool_use_id: str, name: str) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": tool_use_id, "name": name, "input": {}}}


def result(tool_use_id: str, *content: Mapping[str, Any]) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": tool_use_id, "content": list(content)}}


def offering(*specs: Mapping[str, Any]) -> dict[str, Any]:
    return {"toolConfig": {"tools": [{"toolSpec": spec} for spec in specs]}}


def tool(name: str, schema: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    told = {"description": description} if description else {}
    return {"name": name, **told, "inputSchema": {"json": schema}}


NOTHING = {"additionalProperties": False, "properties": {}, "type": "object"}
FILE = offering(tool("get_file", NOTHING))
ASKED = user({"text": "Call the `get_file` tool, then briefly describe what you received."})
ID = "tooluse_daIKOZu4g4GrvIIv9wdqy4"
PDF = pages_of([text_page(["Dummy PDF file"])])
DOCUMENT = {"document": {"name": "Document 1", "format": "pdf", "source": {"bytes": PDF}}}

CLIP = {"audio": {"format": "wav", "source": {"bytes": tone()}}}

PHOTO = offering(tool("get_photo", NOTHING))
SEEN = ({"text": "Here it is:"}, {"text": "See file 241a70."})
IMAGE = {"image": {"format": "png", "source": {"bytes": png(size=(597, 566))}}}
SHOWN = ({"text": "This is file 241a70:"}, IMAGE)

SONG = offering(
    tool(
        "top_song",
        {
            "type": "object",
            "properties": {
                "sign": {"type": "string", "description": "The call sign for the radio station"}
            },
            "required": ["sign"],
        },
        "Get the most popular song played on a radio station.",
    )
)

# The notebook's client makes these tools from two functions and their docstrings.
ASSESS = tool(
    "assess_damaged_delivery",
    {"properties": {"order_no": {}}, "required": ["order_no"], "type": "object"},
    "Use this tool to handle tasks related to damaged deliveries. It performs a damage assessment"
    " by analyzing and comparing delivered product images.\n\norder_no: str\n\nReturns:\n"
    "    str: The result of the damage assessment.",
)
REFUND = tool(
    "find_refund_status",
    {"properties": {"order_no": {"type": "string"}}, "required": ["order_no"], "type": "object"},
    "Use this tool to retrieve the refund status for a specific order.\n\nArgs:\n"
    "    order_no (str): The order number for which the refund status is being requested.\n\n"
    "Returns:\n    str: The current status of the refund process.",
)

CITY = {
    "type": "json_schema",
    "structure": {
        "jsonSchema": {
            "name": "CityInfo",
            "description": "Information about a city.",
            "schema": '{"additionalProperties": false, "properties": {"city": {"type": "string"},'
            ' "country": {"type": "string"}, "population": {"type": "integer"}},'
            ' "required": ["city", "country", "population"], "type": "object"}',
        }
    },
}

TABLE = [
    *(
        Conversation(name=name, model=model, tokens=tokens)
        for name, model, tokens in (
            ("7B", SEVEN_B, 15),
            ("Mixtral", MIXTRAL, 15),
            ("Large 2402", LARGE, 10),
            ("Pixtral", PIXTRAL, 10),
            ("Ministral 3B", MINISTRAL_3B, 9),
            ("Ministral 8B", "mistral.ministral-3-8b-instruct", 9),
            ("Ministral 14B", "mistral.ministral-3-14b-instruct", 9),
            ("Magistral", "mistral.magistral-small-2509", 9),
            ("Devstral", DEVSTRAL, 9),
            ("Voxtral Mini", VOXTRAL_MINI, 9),
            ("Voxtral Small", VOXTRAL_SMALL, 9),
        )
    ),
    Conversation(
        name="Voxtral Mini, a question and a clip of up to 30 seconds",
        model=VOXTRAL_MINI,
        tokens=384,
        seen=MANTLE,
        messages=[user({"text": "What is being said?"}, CLIP)],
    ),
    Conversation(
        name="a schema for the answer is no part of the prompt",
        seen="pydantic/pydantic-ai's recording of Large 3, us-east-1, 2026",
        model=LARGE_3,
        region="us-east-1",
        text="What is the capital of France? Give me the city name, country, and population.",
        more={"outputConfig": {"textFormat": CITY}},
        tokens=21,
    ),
    Conversation(
        name="a tool without a description, its keys sent in alphabetical order",
        seen=PYDANTIC,
        model=PIXTRAL,
        messages=[ASKED],
        more=FILE,
        tokens=64,
    ),
    Conversation(
        name="a document in a result",
        seen=PYDANTIC,
        model=PIXTRAL,
        messages=[ASKED, assistant(use(ID, "get_file")), user(result(ID, DOCUMENT))],
        more=FILE,
        tokens=150,
    ),
    Conversation(
        name="two texts in a result, then an image in the next turn",
        seen=PYDANTIC,
        model=PIXTRAL,
        messages=[
            user({"text": "show me the photo"}),
            assistant(use("getphoto1", "get_photo")),
            user(result("getphoto1", *SEEN)),
            assistant({"text": "."}),
            user(*SHOWN, {"text": "What fruit is in the photo? Answer with one word."}),
        ],
        more=PHOTO,
        tokens=1527,
    ),
    Conversation(
        name="two calls and two results in a turn",
        seen=PYDANTIC,
        model=PIXTRAL,
        messages=[
            user({"text": "show me the photos"}),
            assistant(use("getphoto1", "get_photo"), use("getphoto2", "get_photo")),
            user(result("getphoto1", *SEEN), result("getphoto2", *SEEN)),
            assistant({"text": "."}),
            user(*SHOWN, *SHOWN, {"text": "What fruit is in the photos? Answer with one word."}),
        ],
        more=PHOTO,
        tokens=2982,
    ),
    Conversation(
        name="a tool with a description, its keys sent with type first",
        seen="Arize-ai/openinference's recording of Devstral, 2026",
        model=DEVSTRAL,
        messages=[user({"text": "What is the most popular song on Radio XYZ?"})],
        more=SONG,
        tokens=90,
    ),
    Conversation(
        name="two tools are 222 tokens more than the question alone",
        seen=NOTEBOOK,
        model=LARGE_2407,
        region="us-west-2",
        more=offering(ASSESS, REFUND),
        tokens=232,
    ),
    Conversation(
        name="blanks at the end of a text and of the system's are not counted",
        seen=NOTEBOOK,
        model=LARGE_2407,
        region="us-west-2",
        text=f"{QUESTION}\n\n    ",
        more={"system": [{"text": "Be brief.\n  "}]},
        tokens=15,
    ),
    Conversation(
        name="blanks at the end of a text before an image are not counted",
        seen=NOTEBOOK,
        model=PIXTRAL,
        region="us-east-1",
        messages=[user({"text": f"{QUESTION}\n\n    "}, IMAGE)],
        tokens=1414,
    ),
    Conversation(
        name="a newline at the end of a text to Mixtral is counted",
        seen="a notebook in aws-samples/mistral-on-aws, us-west-2, 2024-10-31",
        model=MIXTRAL,
        text="Summarize the findings from the financial analysis of Amazon's data for 2023 and"
        " 2024. Include the percentage change in Net Product Sales and Net Income, and comment on"
        " the profit margin improvement.\n",
        tokens=59,
    ),
    *(
        Conversation(
            name=f"a newline at the end of a text to {name} is counted",
            seen=GUESS,
            why="as Mixtral",
            model=model,
            text=f"{QUESTION}\n",
            tokens=tokens,
        )
        for name, model, tokens in (
            ("7B", SEVEN_B, 17),
            ("Large 2402", LARGE, 11),
            ("Devstral", DEVSTRAL, 9),
        )
    ),
]
