"""The service accepts and refuses for each model exactly what its listing says."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, EventStreamError
from PIL import Image

from invoke_api.models.registry import DEFAULT_REGISTRY, Model, load_registry
from tests.support.clients import client
from tests.support.servers import call
from tests.support.sounds import to_base64, tone

MODELS = {
    model_id: model
    for model_id, model in load_registry(DEFAULT_REGISTRY).models.items()
    if model.listing.is_catalogued
}
IMAGES = ("png", "jpeg", "gif", "webp")
HELLO: list[dict[str, Any]] = [{"text": "Hello"}]
TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
SCHEMA = {
    "textFormat": {
        "type": "json_schema",
        "structure": {"jsonSchema": {"name": "it", "schema": '{"type": "object"}'}},
    }
}


class Asker(NamedTuple):
    """A model as clients call it. `told` is the answer of GetFoundationModel."""

    model: Model
    name: str  # the id of the model or of a profile
    runtime: Any
    told: dict[str, Any]

    def converse(self, blocks: list[dict[str, Any]] | None = None, **more: Any) -> str | None:
        """Return the error, or None if it is answered."""
        limits = more.pop("inferenceConfig", {})
        return refusal(
            lambda: self.runtime.converse(
                modelId=self.name,
                messages=[{"role": "user", "content": blocks or HELLO}],
                inferenceConfig={"maxTokens": 3, **limits},
                **more,
            )
        )

    def stream(self, **more: Any) -> str | None:
        def read() -> None:
            messages = [{"role": "user", "content": HELLO}]
            limits = {"maxTokens": 3}
            answer = self.runtime.converse_stream(
                modelId=self.name, messages=messages, inferenceConfig=limits, **more
            )
            with closing(answer["stream"]) as events:
                assert list(events)

        return refusal(read)

    def invoke(self, part: dict[str, Any] | None = None, **more: Any) -> str | None:
        body: dict[str, Any] = {"max_tokens": 3, **more.pop("body", {})}
        if self.model.dialect_name == "mistral-text":
            body["prompt"] = "Hello"
        else:
            text = {"type": "text", "text": "Hello"}
            body["messages"] = [{"role": "user", "content": [text, *([part] if part else [])]}]
        return refusal(
            lambda: self.runtime.invoke_model(modelId=self.name, body=json.dumps(body), **more)
        )


def refusal(ask: Any) -> str | None:
    try:
        ask()
    except (ClientError, EventStreamError) as error:
        said = error.response["Error"]
        assert said["Code"].lower() == "validationexception", said
        return str(said["Message"])
    return None


@pytest.fixture(params=MODELS)
def asker(request: pytest.FixtureRequest, scripted: str) -> Iterator[Asker]:
    model = MODELS[request.param]
    listing = model.listing
    places = listing.profiles or {model.id: listing.regions or ("us-east-1",)}
    name, regions = next(iter(places.items()))
    scope = f"Credential=AKIALISTING/20300101/{regions[0]}/bedrock/aws4_request"
    signed = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
    path = f"/foundation-models/{quote(model.id)}"
    _, body = call(scripted, "GET", path, Authorization=signed)
    with client(scripted, "AKIALISTING", regions[0]) as runtime:
        yield Asker(model, name, runtime, json.loads(body)["modelDetails"])


def image(kind: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, kind)
    return file.getvalue()


def test_images_are_taken_in_the_listed_formats_or_not_at_all(asker: Asker) -> None:
    sees = "IMAGE" in asker.told["inputModalities"]
    listed = asker.told["converse"].get("userImageTypesSupported", IMAGES if sees else ())
    taken = {
        kind: asker.converse(
            [*HELLO, {"image": {"format": kind, "source": {"bytes": image(kind)}}}]
        )
        for kind in IMAGES
    }

    assert {kind for kind, why in taken.items() if why is None} == set(listed)
    assert sees == bool(listed)
    for why in filter(None, taken.values()):
        assert why.startswith("This model doesn't support the image content block")
    if asker.model.dialect_name == "mistral-chat":
        for kind in IMAGES:
            url = f"data:image/{kind};base64,{b64encode(image(kind)).decode()}"
            said = asker.invoke({"type": "image_url", "image_url": {"url": url}})
            assert (said is None) == (kind in listed), said


def test_speech_is_taken_where_it_is_listed(asker: Asker) -> None:
    hears = "SPEECH" in asker.told["inputModalities"]
    why = asker.converse([*HELLO, {"audio": {"format": "wav", "source": {"bytes": tone()}}}])

    assert (why is None) == hears
    assert hears or (why or "").startswith("This model doesn't support the audio content block")
    if asker.model.dialect_name == "mistral-chat":
        data = {"data": to_base64(tone()), "format": "wav"}
        why = asker.invoke({"type": "input_audio", "input_audio": data})
        assert (why is None) == hears, why


def test_no_model_takes_a_video(asker: Asker) -> None:
    video = {"video": {"format": "mp4", "source": {"bytes": b"x"}}}

    assert asker.told["converse"].get("userVideoTypesSupported", []) == []
    assert "the video content block" in (asker.converse([*HELLO, video]) or "")


def test_documents_are_taken_where_the_registry_and_the_listing_say_so(asker: Asker) -> None:
    document = {"document": {"format": "txt", "name": "it", "source": {"bytes": b"rain"}}}
    why = asker.converse([*HELLO, document])

    assert (why is None) == asker.model.abilities.documents, why
    if asker.told["converse"]:
        assert bool(asker.told["converse"]["userDocumentTypesSupported"]) == (why is None)


@pytest.mark.parametrize("tier", ["default", "priority", "flex", "reserved"])
def test_service_tiers_are_those_of_the_registry(asker: Asker, tier: str) -> None:
    is_offered = tier in asker.model.service_tiers

    assert (asker.converse(serviceTier={"type": tier}) is None) == is_offered
    assert (asker.stream(serviceTier={"type": tier}) is None) == is_offered
    assert (asker.invoke(serviceTier=tier) is None) == is_offered


def test_it_streams_as_listed(asker: Asker) -> None:
    assert asker.told["responseStreamingSupported"] is True
    assert asker.stream() is None


def test_it_can_do_what_its_abilities_say(asker: Asker) -> None:
    can = asker.model.abilities
    system: dict[str, Any] = {"system": [{"text": "Be brief."}]}
    asked: dict[str, tuple[str | None, bool]] = {
        "system": (asker.converse(**system), can.system),
        "tools": (asker.converse(toolConfig=TOOLS), can.tools),
        "tools in a stream": (asker.stream(toolConfig=TOOLS), can.streams_tools),
        "stops": (asker.converse(inferenceConfig={"stopSequences": ["x"]}), can.stop_sequences),
        "schemas": (asker.converse(outputConfig=SCHEMA), can.schemas),
    }

    assert {name: why is None for name, (why, _) in asked.items()} == {
        name: is_able for name, (_, is_able) in asked.items()
    }
    for why, _ in asked.values():
        assert why is None or why.startswith("This model doesn't support"), why
    if asker.told["converse"]:
        assert asker.told["converse"]["systemRoleSupported"] == can.system


BOUNDED = [name for name, model in MODELS.items() if "maxTokensMaximum" in model.listing.converse]


@pytest.mark.parametrize("asker", BOUNDED, indirect=True)
def test_max_tokens_goes_up_to_what_is_listed(asker: Asker) -> None:
    most = asker.told["converse"]["maxTokensMaximum"]
    at_most = [asker.converse(inferenceConfig={"maxTokens": most})]
    at_most += [asker.invoke(body={"max_tokens": most})]
    # Together with a prompt, the maximum exceeds the context.
    assert all("maximum context length is" in (why or "") for why in at_most)
    beyond = asker.converse(inferenceConfig={"maxTokens": most + 1})
    assert beyond is not None
    assert f"exceeds the model limit of {most}." in beyond
    # InvokeModel has no bound but the context.
    assert "maximum context length is" in (asker.invoke(body={"max_tokens": most + 1}) or "")
