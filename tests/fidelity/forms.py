"""Converse's errors for values of a wrong form."""

from tests.fidelity.case import GUESS
from tests.fidelity.converse import TOOLS, USER, refused, result, use
from tests.support.servers import LARGE

SPEC = TOOLS["tools"][0]["toolSpec"]
CALLED_WITH_TEXT = {
    "role": "assistant",
    "content": [{"toolUse": {"toolUseId": "abcd12345", "name": "f", "input": "{}"}}],
}
CALLED_BY_WORDS = {
    "role": "assistant",
    "content": [{"toolUse": {"toolUseId": "abcd12345", "name": "a b", "input": {}}}],
}
RESULT_OF_LIST = {
    "role": "user",
    "content": [{"toolResult": {"toolUseId": "abcd12345", "content": [{"json": [7]}]}}],
}
OFFERED = "Value at 'toolConfig.tools.1.member.toolSpec"
PATTERN = (
    "failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
)
SHORT = "failed to satisfy constraint: Member must have length greater than or equal to 1"
NO_NAME = f"{OFFERED}.name' {PATTERN}; {OFFERED}.name' {SHORT}; {OFFERED}.description' {SHORT}"

TABLE = [
    *(
        refused(
            f"{name} that is no object",
            f"The format of the value at {where} is invalid."
            " Provide a json object for the field and try again.",
            seen,
            model=LARGE,
            operations=("converse",),
            **body,
        )
        for name, where, seen, body in (
            (
                "a schema of a tool",
                "toolConfig.tools.0.toolSpec.inputSchema.json",
                "sympozium-ai/sympozium#255, 2026-07, of another model",
                {"toolConfig": {"tools": [{"toolSpec": {**SPEC, "inputSchema": {"json": "{}"}}}]}},
            ),
            (
                "the input of a call",
                "messages.1.content.0.toolUse.input",
                "vercel/ai#19023, 2026-08, of other models",
                {"messages": [USER, CALLED_WITH_TEXT, result("abcd12345")], "toolConfig": TOOLS},
            ),
            (
                "a result of a tool",
                "messages.2.content.0.toolResult.content.0.json",
                "deepset-ai/haystack-core-integrations#3766, 2026-08, of another model",
                {"messages": [USER, use("abcd12345"), RESULT_OF_LIST], "toolConfig": TOOLS},
            ),
        )
    ),
    refused(
        "additional fields that are no object",
        "The format of the additionalModelRequestFields field is invalid."
        " Provide a json object for additionalModelRequestFields and try again.",
        GUESS,
        why="seen with another model, without the part after the name",
        additionalModelRequestFields="abc",
    ),
    *(
        refused(
            f"the name of a tool{whose} that is {name}",
            f"{found}{message}",
            seen,
            model=LARGE,
            operations=("converse",),
            **body,
        )
        for whose, name, found, message, seen, body in (
            (
                "",
                "empty, as its description",
                "3 validation errors detected: ",
                NO_NAME,
                "BerriAI/litellm#24668, of another model, where a value still stood in it",
                {"toolConfig": {"tools": [{"toolSpec": {**SPEC, "name": "", "description": ""}}]}},
            ),
            (
                " called",
                "none",
                "1 validation error detected: ",
                f"Value at 'messages.2.member.content.1.member.toolUse.name' {PATTERN}",
                "NousResearch/hermes-agent#90008, 2026-08, of another model",
                {"messages": [USER, CALLED_BY_WORDS, result("abcd12345")], "toolConfig": TOOLS},
            ),
        )
    ),
]
