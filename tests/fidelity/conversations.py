"""How many tokens a conversation counts by Converse: the template of each model, told by counts."""

from dataclasses import dataclass

from tests.servers import (
    LARGE,
    MINISTRAL_3B,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
)
from tests.sounds import tone

MANTLE = "crmne/ruby_llm's recording of bedrock-mantle, of an MP3"
LAGO = "getlago/lago-agent-sdk-python's recordings, eu-west-1, 2026-04-28"
QUESTION = "One sentence about dolphins."


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """`tokens` is what both operations must report for this message of a user's.

    `audio` is a WAV beside its text.
    """

    name: str
    model: str
    tokens: int
    seen: str = LAGO
    text: str = QUESTION
    audio: bytes | None = None


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
            ("Devstral", "mistral.devstral-2-123b", 9),
            ("Voxtral Mini", VOXTRAL_MINI, 9),
            ("Voxtral Small", VOXTRAL_SMALL, 9),
        )
    ),
    Conversation(
        name="Voxtral Mini, a question and a clip of up to 30 seconds",
        model=VOXTRAL_MINI,
        tokens=384,
        seen=MANTLE,
        text="What is being said?",
        audio=tone(),
    ),
]
