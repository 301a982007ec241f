"""Recorded answers: the request, the model's text, and the whole answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fidelity.answers import OF_2025, OF_PIXTRAL
from tests.fidelity.case import Case
from tests.fidelity.conversations import LAGO, QUESTION
from tests.support.servers import PIXTRAL

IN_EUROPE = PIXTRAL.replace("us.", "eu.", 1)
BY_CONVERSE = (
    '{"metrics":{"latencyMs":LATENCY},"output":{"message":{"content":[CONTENT],"role":"assistant"}}'
    ',"stopReason":"STOP","usage":USAGE}'
)
OF_TEXT = '{"outputs":[{"text":"TEXT","stop_reason":"stop"}]}'


UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
DIFFERENT = {
    UUID: "ID",
    r"tooluse_[A-Za-z0-9]{22}": "ID",
    r'(?<="created":)\d{10}\b': "CREATED",
    r'(?<=Latency":)\d+|(?<=latencyMs":)\d+': "LATENCY",
    r'(?<="id":")[A-Za-z0-9]{22}(?=")': "CALLED",
    r'(?<="p":)"\w+"': '"PADDING"',
}
USAGE = '{"inputTokens":IN,"outputTokens":OUT,"serverToolUsage":{},"totalTokens":ALL}'
DELTA = '{"contentBlockIndex":0,"delta":{"text":TEXT},"p":"PADDING"}'
METADATA = '{"metrics":{"latencyMs":LATENCY},"p":"PADDING","usage":USAGE}'


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recorded answer.

    `reply` is the model's reply in the form of a rule, `content` its form in the answer. In
    `answer`, words in capitals stand for inserted values and for values that differ between calls.
    Numbers are missing if none were recorded, or if another table has them. `deltas` are those of
    a ConverseStream, `chunks` those of an InvokeModelWithResponseStream.
    """

    name: str
    seen: str
    model: str
    reply: Any
    body: Mapping[str, Any]
    inputs: int | None
    outputs: int | None
    content: str = '{"text":"TEXT"}'
    answer: str = BY_CONVERSE
    operation: str = "converse"
    stop: str = "end_turn"
    region: str = "us-east-1"
    deltas: tuple[str, ...] = ()
    chunks: tuple[str, ...] = ()
    why: str = ""

    @property
    def case(self) -> Case:
        return Case(
            name=self.name,
            seen=self.seen,
            model=self.model,
            region=self.region,
            operations=(self.operation,),
            body=self.body,
        )

    def whole(self) -> str:
        """Return the body that the service must send."""
        return self._fill(self.answer)

    def events(self) -> list[tuple[str, str]]:
        """Return the kinds and payloads of the frames that the service must send."""
        texts = map(json.dumps, self.deltas)
        return [
            ("messageStart", '{"p":"PADDING","role":"assistant"}'),
            *(("contentBlockDelta", DELTA.replace("TEXT", text)) for text in texts),
            ("contentBlockStop", '{"contentBlockIndex":0,"p":"PADDING"}'),
            ("messageStop", self._fill('{"p":"PADDING","stopReason":"STOP"}')),
            ("metadata", self._fill(METADATA)),
        ]

    def parts(self) -> list[str]:
        """Return the chunks that the service must send."""
        return [self._fill(chunk) for chunk in self.chunks]

    def hide(self, made: str) -> str:
        """Return the answer with words in place of values that differ between calls."""
        for pattern, word in DIFFERENT.items():
            made = re.sub(pattern, word, made)
        if self.inputs is None:
            made = re.sub(r'(?<="inputTokens":)\d+|(?<="prompt_tokens":)\d+', "IN", made)
            made = re.sub(r'(?<="totalTokens":)\d+|(?<="total_tokens":)\d+', "ALL", made)
        if self.outputs is None:
            made = re.sub(r'(?<="completion_tokens":)\d+', "OUT", made)
        return made

    def _fill(self, answer: str) -> str:
        text = self.reply if isinstance(self.reply, str) else ""
        answer = answer.replace("USAGE", USAGE).replace("CONTENT", self.content)
        words = {"MODEL": self.model, "STOP": self.stop}
        if self.outputs is not None:
            words["OUT"] = str(self.outputs)
        if self.inputs is not None and self.outputs is not None:
            words |= {"IN": str(self.inputs), "ALL": str(self.inputs + self.outputs)}
        words["TEXT"] = json.dumps(text, ensure_ascii=False)[1:-1]
        return re.sub(r"\b[A-Z]+\b", lambda word: words.get(word[0], word[0]), answer)


def ask(text: str, **config: float) -> dict[str, Any]:
    messages = [{"role": "user", "content": [{"text": text}]}]
    return {"messages": messages, **({"inferenceConfig": config} if config else {})}


def dolphins(name: str, model: str, text: str, inputs: int, outputs: int) -> Recording:
    return Recording(
        name=f"{name} by Converse",
        seen=LAGO,
        model=model,
        reply=text,
        body=ask(QUESTION, maxTokens=40),
        inputs=inputs,
        outputs=outputs,
        region="eu-west-1",
    )


def of_messages(name: str, model: str, text: str, inputs: int, outputs: int) -> Recording:
    return Recording(
        name=f"{name} by InvokeModel",
        seen=LAGO,
        model=model,
        reply=text,
        body={"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40},
        inputs=inputs,
        outputs=outputs,
        answer=OF_PIXTRAL if model == IN_EUROPE else OF_2025,
        operation="invoke",
        region="eu-west-1",
    )


def of_text(name: str, model: str, text: str) -> Recording:
    return Recording(
        name=f"{name} by InvokeModel",
        seen=LAGO,
        model=model,
        reply=text,
        body={"prompt": f"<s>[INST] {QUESTION} [/INST]", "max_tokens": 40},
        inputs=None,
        outputs=None,
        answer=OF_TEXT,
        operation="invoke",
        region="eu-west-1",
    )
