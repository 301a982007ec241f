"""Token counts of prompts: recorded ones, and rows that follow from them."""

from dataclasses import dataclass

from tests.fidelity.case import GUESS
from tests.support.servers import LARGE, MIXTRAL, SEVEN_B, SMALL

FAHRENHEIT = "[INST] What is 212 degrees Fahrenheit converted to Celsius? [/INST]"
OTEL = "open-telemetry/opentelemetry-python-contrib's recording"
HUMAN = "\n\nHuman: Hello, How are you today? \n\nAssistant:"


@dataclass(frozen=True, kw_only=True)
class Count:
    """A prompt, and the input tokens that both operations must report for it."""

    name: str
    seen: str
    prompt: str
    tokens: int
    model: str = SEVEN_B
    why: str = ""


TABLE = [
    Count(name="a BOS is added", seen=OTEL, prompt="Say this is a test", tokens=6),
    Count(
        name="a question",
        seen="DataDog/dd-trace-js's recording",
        prompt="What is the capital of France?",
        tokens=8,
    ),
    Count(
        name="a literal <s> is one more",
        seen="newrelic/newrelic-python-agent's recording",
        prompt=f"<s>{FAHRENHEIT}",
        tokens=25,
    ),
    Count(
        name="Small 2402",
        seen="open-telemetry/opentelemetry-js-contrib's recording",
        prompt=HUMAN,
        tokens=19,
        model=SMALL,
    ),
    Count(
        name="Large 2402 as Small",
        seen=GUESS,
        why="both were trained with tokenizer v2",
        prompt=HUMAN,
        tokens=19,
        model=LARGE,
    ),
    Count(
        name="Mixtral as 7B",
        seen=GUESS,
        why="both were trained with tokenizer v1",
        prompt=f"<s>{FAHRENHEIT}",
        tokens=25,
        model=MIXTRAL,
    ),
    Count(
        name="without <s>",
        seen=GUESS,
        why="the recorded count less one",
        prompt=FAHRENHEIT,
        tokens=24,
    ),
    Count(
        name="a literal </s> is one more",
        seen=GUESS,
        why="as <s>",
        prompt="Say this is a test</s>",
        tokens=7,
    ),
    Count(name="two literal <s>", seen=GUESS, why="as one", prompt="<s><s>", tokens=3),
    Count(name="an empty prompt is its BOS", seen=GUESS, prompt="", tokens=1),
]
