"""The order and form in which the blocks of a Converse request become text."""

from base64 import b64encode
from typing import Any

from invoke_api.dialects.converse import to_messages, to_tools
from invoke_api.dialects.converse_checks import Abilities
from tests.support.images import png

IMAGE = {"image": {"format": "png", "source": {"bytes": b64encode(png()).decode()}}}


def document(name: str) -> dict[str, Any]:
    source = {"bytes": b64encode(b"wet {north}\n\n").decode()}
    return {"document": {"format": "txt", "name": name, "source": source}}


def content_of(
    *blocks: dict[str, Any], sees: bool = False, abilities: Abilities | None = None
) -> Any:
    body = {"messages": [{"role": "user", "content": list(blocks)}]}
    [message] = to_messages(body, abilities or Abilities(), sees=sees)
    return message["content"]


LISTED = (
    "<documents>\n"
    '<document index="1">\n<source>one.txt</source>\n'
    "<document_content>wet {north}\n</document_content>\n</document>\n"
    '<document index="2">\n<source>two.txt</source>\n'
    "<document_content>wet {north}\n</document_content>\n</document>\n"
    "</documents>"
)


def test_documents_are_a_list_where_the_first_one_stands() -> None:
    blocks = ({"text": "First."}, document("one"), {"text": "Then."}, document("two"))
    seen = content_of(*blocks, IMAGE, sees=True)

    assert content_of(*blocks) == f"First.\n\n{LISTED}\n\nThen."
    assert [part.get("text") for part in seen] == ["First.", LISTED, "Then.", None]


def test_blanks_at_the_end_of_texts_are_cut_for_a_model_that_trims() -> None:
    blocks = {"text": " Hi.\n "}, {"guardContent": {"text": {"text": "Guard me. "}}}

    assert content_of(*blocks) == " Hi.\n \n\nGuard me. "
    assert content_of(*blocks, abilities=Abilities(trims=True)) == " Hi.\n\nGuard me."


def test_a_result_has_the_name_of_its_tool() -> None:
    uses = [{"toolUse": {"toolUseId": each, "name": each * 2, "input": {}}} for each in "ab"]
    content = [{"text": "One. "}, {"json": {"two": 2}}, {"text": "Three."}]
    results = [{"toolResult": {"toolUseId": each, "content": content}} for each in "ba"]
    body = {
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": uses},
            {"role": "user", "content": results},
        ],
        "toolConfig": {},
    }
    [*_, first, second] = to_messages(body, Abilities())

    assert (first["name"], second["name"]) == ("bb", "aa")
    assert first["content"] == 'One. {"two": 2}Three.'


def test_a_schema_begins_with_its_type_and_its_properties() -> None:
    schema = {"required": [], "properties": {"b": {}, "a": {}}, "additionalProperties": {}}
    spec = {"name": "f", "inputSchema": {"json": {**schema, "type": "object"}}}
    [tool] = to_tools({"toolConfig": {"tools": [{"toolSpec": spec}]}})
    parameters = tool["function"]["parameters"]

    assert list(parameters) == ["type", "properties", "required", "additionalProperties"]
    assert list(parameters["properties"]) == ["b", "a"]
