"""Audio in a conversation: read and counted as by mistral-common, or refused."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

from engine.demo.speech import write_tokenizer
from engine.errors import ChatRefused, EngineBusy
from engine.tokenization.audio import AudioClip, open_input_audio
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.uploads.call import CURRENT_SESSION, UploadSession
from engine.uploads.limits import MAX_AUDIO_SECONDS
from engine.uploads.refusals import UploadRefused
from tests.support.images import png
from tests.support.images import to_url as to_image_url
from tests.support.sounds import RATE, to_base64, to_url, tone, written

QUESTION = "What is being said?"


@cache
def voxtral() -> Tokenizer:
    return load_tokenizer("tekken-v7")


def user(*parts: Any, text: str = QUESTION) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def audio(raw: bytes, kind: str = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": to_base64(raw), "format": kind}}


def test_a_clip_of_up_to_30_seconds_counts_as_on_bedrock() -> None:
    # Bedrock's Voxtral Mini counted 384 tokens for this question and an MP3 of some seconds.
    tokens = voxtral().chat.encode([user(audio(written("MP3", 7.3, 44_100, 2), "mp3"))]).tokens

    assert len(tokens) == 384
    assert tokens.count(24) == 375
    assert tokens[7:9] == (25, 24)  # after the BOS, [INST] and five tokens of text


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with only a tekken.json that takes audio."""
    folder = tmp_path_factory.mktemp("weights")
    write_tokenizer(folder)
    return folder


@pytest.mark.parametrize("seconds", [0.001, 1, 29.99, 30, 30.001, 61])
@pytest.mark.parametrize("rate", [8_000, RATE, 44_100])
def test_a_clip_has_as_many_tokens_as_mistral_common_gives_it(
    weights: Path, seconds: float, rate: int
) -> None:
    message = user(audio(tone(seconds, rate=rate)))
    theirs = MistralTokenizer.from_file(weights / "tekken.json")
    document: Any = {"messages": [message], "model": "any"}
    request: Any = ChatCompletionRequest.model_validate(document)
    expected = theirs.encode_chat_completion(request)
    prompt = load_tokenizer("tekken-v7", str(weights)).chat.encode([message])
    [clip] = prompt.audio

    assert list(prompt.tokens) == expected.tokens
    assert abs(clip.length - round(seconds * RATE)) <= 1
    padded = expected.audios[0].audio_array[: clip.length]
    assert abs(clip.to_array() - padded).max() < 1e-6


def test_the_carried_words_and_a_voxtrals_own_file_agree(weights: Path) -> None:
    message = {"role": "user", "content": "a b"}
    own = load_tokenizer("tekken-v7", str(weights)).chat

    assert own.calls_style == voxtral().chat.calls_style == "list"
    assert own.encode([message]).tokens == voxtral().chat.encode([message]).tokens


FORMS = [
    audio(tone()),
    {"type": "input_audio", "input_audio": to_base64(tone())},
    {"type": "input_audio", "input_audio": to_url(tone())},
    {"type": "audio_url", "audio_url": to_url(tone())},
    {"type": "audio_url", "audio_url": {"url": to_url(tone(), "x-wav")}},
]


def test_all_forms_of_a_clip_are_read_alike() -> None:
    [first, *others] = [voxtral().chat.encode([user(form)]) for form in FORMS]

    assert all(other == first for other in others)


def test_clips_keep_their_order() -> None:
    clips = voxtral().chat.encode([user(audio(tone(1)), audio(tone(2)))]).audio

    assert [clip.length for clip in clips] == [RATE, 2 * RATE]


NO_AUDIO = "is no WAV, MP3, FLAC or Ogg in base64"
NO_DATA = "must have its data in base64"
NO_URL = "must be a data URL of audio"
AAC = b"\xff\xf1\x50\x80" + bytes(64)


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"type": "input_audio"}, NO_DATA),
        ({"type": "input_audio", "input_audio": 7}, NO_DATA),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, NO_DATA),
        ({"type": "input_audio", "input_audio": {"data": [], "format": "wav"}}, NO_DATA),
        ({"type": "input_audio", "input_audio": ""}, NO_AUDIO),
        ({"type": "input_audio", "input_audio": "@@@"}, NO_AUDIO),
        ({"type": "input_audio", "input_audio": "\u00e9"}, NO_AUDIO),
        ({"type": "input_audio", "input_audio": "480000"}, NO_AUDIO),
        ({"type": "input_audio", "input_audio": "/etc/passwd"}, NO_AUDIO),
        (audio(tone(), "aac"), "Audio of the format aac can't be read"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": {}}}, "format {} can't"),
        (audio(AAC), NO_AUDIO),
        (audio(b"RIFF\x24\0\0\0AVI LIST"), NO_AUDIO),
        (audio(tone()[:30]), "Audio is damaged"),
        (audio(tone(0)), "Audio is damaged"),
        (audio(b"fLaC" + bytes(99)), "Audio is damaged"),
        (audio(b"ID3" + bytes(99)), "Audio is damaged"),
        (audio(tone(1, rate=2_000)), "Audio is damaged"),
        ({"type": "audio_url"}, NO_URL),
        ({"type": "audio_url", "audio_url": 7}, NO_URL),
        ({"type": "audio_url", "audio_url": {"url": "https://example.com/a.mp3"}}, NO_URL),
        ({"type": "audio_url", "audio_url": "http://127.0.0.1:9/a.mp3"}, NO_URL),
        ({"type": "audio_url", "audio_url": "file:///etc/passwd"}, NO_URL),
        ({"type": "audio_url", "audio_url": to_image_url(png())}, NO_URL),
        ({"type": "audio"}, "This model takes no audio."),
        ({"type": "image_url", "image_url": to_image_url(png())}, "This model takes no image_url."),
    ],
)
def test_what_can_not_be_heard_is_refused(part: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ChatRefused, match=sentence):
        voxtral().chat.encode([user(part)])


def test_no_more_clips_are_taken_than_vllm_takes() -> None:
    with pytest.raises(ChatRefused, match=r"At most 5 audio\(s\) may be provided in one prompt"):
        voxtral().chat.encode([user(*[audio(tone(0.1))] * 6)])


def test_the_clips_of_a_call_may_last_so_long_together() -> None:
    half = audio(written("FLAC", MAX_AUDIO_SECONDS / 2 + 1, RATE))
    token = CURRENT_SESSION.set(UploadSession())
    try:
        with pytest.raises(ChatRefused, match=f"may last {MAX_AUDIO_SECONDS} seconds, and no more"):
            voxtral().chat.encode([user(half, half)])
    finally:
        CURRENT_SESSION.reset(token)


def test_a_system_message_and_audio_do_not_go_together() -> None:
    # mistral-common refuses both before v13, and Voxtral's tokenizer is v7.
    system = {"role": "system", "content": "Be brief."}
    with pytest.raises(ChatRefused, match="not allowed prior to the tokenizer version 13"):
        voxtral().chat.encode([system, user(audio(tone(0.1)))])


def test_audio_of_a_call_that_has_ended_is_no_mistake_of_its_own() -> None:
    call = UploadSession()
    call.cancel()
    token = CURRENT_SESSION.set(call)
    try:
        with pytest.raises(EngineBusy):
            open_input_audio(to_base64(tone(0.1)), RATE)
    finally:
        CURRENT_SESSION.reset(token)


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (
            UploadRefused("missing", "No module named 'soxr'"),
            r"needs bedrock-invoke-api\[speech\]: ",
        ),
        (UploadRefused("cpu", "it takes too long to read"), "could not be read: it takes too long"),
        (b"abc", "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_what_a_worker_says_instead_is_told(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, sentence: str
) -> None:
    class Stub:
        def read(self, *_: object, **__: object) -> Any:
            if isinstance(outcome, UploadRefused):
                raise outcome
            return type("Read", (), {"payload": outcome})

    monkeypatch.setattr("engine.tokenization.audio.WORKERS", Stub())
    with pytest.raises(ChatRefused, match=sentence):
        open_input_audio(to_base64(b"RIFF"), RATE)


def test_a_clip_tells_its_length() -> None:
    clip = AudioClip(bytes(8), RATE, b"")

    assert clip.length == 2
    assert clip.to_array().tolist() == [0.0, 0.0]
