"""Measure the CPU time of a valid request outside its engine: parsing, signature, tokens, metrics.

usage: python -m bench.checks [--rounds N]
Exits with status 1 if the median for any model's body is over 100 microseconds.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import cycle
from statistics import median
from time import monotonic, perf_counter
from typing import Any

import orjson

from bench.streams.prompts import make_prompt
from engine.detokenizer import Detokenizer
from engine.generation_task import FINISHED
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.authentication.credentials import AccessKey, Credentials
from invoke_api.authentication.gate import Gate
from invoke_api.authentication.signature import ISO_BASIC, RawRequest
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.observability.access_log import to_json_line
from invoke_api.observability.call_metrics import TokenFigures
from invoke_api.observability.journal import Entry
from invoke_api.observability.metrics import Metrics
from invoke_api.operations.invoke import InvokeModelWriter
from invoke_api.pipeline.answer import Answer, Stream
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.count_calls import CallCounter, CallOutcome, FinishedCall
from invoke_api.pipeline.log_calls import to_access_record
from invoke_api.wire.sigv4 import canonical_request, parse_scope, sign, string_to_sign

BUDGET_MICROSECONDS = 100.0
PROMPT = "<s>[INST] What is your favourite condiment? [/INST]"
SAMPLING = {"max_tokens": 400, "temperature": 0.7, "top_p": 0.7}
BODIES = {  # by dialect
    "mistral-text": {"prompt": PROMPT, **SAMPLING, "top_k": 50},
    "mistral-chat": {"messages": [{"role": "user", "content": PROMPT}], **SAMPLING},
}
PROMPTS = 300  # the new words of long ones exceed the word cache, those of short ones do not
PATH = b"/model/mistral.mistral-7b-instruct-v0%3A2/invoke"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds = parser.parse_args().rounds
    bodies = 0.0
    for name, check in checks():
        times = sorted(measure(check) for _ in range(rounds))
        middle, late = median(times), times[int(0.99 * rounds)]
        print(f"{name:<42} median {middle:6.1f} µs, 99th percentile {late:6.1f} µs")
        if name.startswith("body"):
            bodies = max(bodies, middle)
    print(f"{'the costliest body':<42} median {bodies:6.1f} µs, budget {BUDGET_MICROSECONDS} µs")
    sys.exit(bodies > BUDGET_MICROSECONDS)


def measure(check: Callable[[], object]) -> float:
    """Return the microseconds of one call."""
    began = perf_counter()
    check()
    return 1e6 * (perf_counter() - began)


def checks(prompts: int = PROMPTS) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the checks by name; they use so many `prompts` in turn."""
    for model_id, model in load_registry(DEFAULT_REGISTRY).models.items():
        if not model.listing.is_catalogued:
            continue
        body = orjson.dumps(BODIES[model.dialect_name])
        yield f"body, {model_id}", lambda model=model, body=body: model.schema.parse(body)  # type: ignore[misc]  # mypy knows no type for it
    gate = Gate(auth="sigv4", credentials=Credentials({"AKID": KEY}))
    for size in (100, 10_000, 1_000_000):
        call = signed(body.ljust(size))
        yield f"signature, body of {size} bytes", lambda call=call: gate.admit(call)  # type: ignore[misc]  # the same
    yield "metrics of a call", counting()
    yield "access line of a call", access_lines()
    yield "a token, from engine to connection", streaming()
    for tokens in (128, 6_400):
        yield f"tokens of a prompt of {tokens}", tokenising(tokens, prompts)


def tokenising(tokens: int, many: int) -> Callable[[], object]:
    """Return a function that tokenizes one prompt after another."""
    encode = load_tokenizer("v1").encode
    prompts = cycle([make_prompt(tokens, number) for number in range(many)])
    return lambda: encode(next(prompts))


class Sent:
    """A substitute for a connection that counts the bytes written."""

    size = 0

    def start(self, status: int, headers: object) -> None: ...

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        assert not is_last
        self.size += len(data)


def streaming() -> Callable[[], object]:
    """Return a function that streams one token after another as a frame."""
    tokenizer = load_tokenizer("v1")
    asked = GenerationRequest(request_id="", prompt=(1,), max_tokens=10**9)
    entry = Entry(request_id="", operation="", model_id="", headers=(), body=b"")
    writer = InvokeModelWriter(MistralText(), MistralText().reply)
    sent = Sent()
    call = make_call(sent)
    answer = Answer(call, entry, Stream(call, [], writer.frames))
    answer.begin(lambda _: FINISHED, Detokenizer(tokenizer, asked))
    tokens = cycle([[token] for token in tokenizer.encode_text(" Nobody thought about it.")])

    def push() -> int:
        answer.push(next(tokens))
        assert not answer.is_over
        return sent.size

    return push


def access_lines() -> Callable[[], object]:
    """Return a function that does all work of a call's access line but its write: two threads'."""
    call = counting()()
    finished = FinishedCall(CallOutcome("stop", "200", ""), 1.5, TokenFigures(20, 128, 0.5, 0.01))
    return lambda: to_json_line(to_access_record(call, finished), None)


def make_call(writer: Any = None) -> Call:  # noqa: ANN401 - a substitute
    """Return a minimal call with this writer."""
    nothing: Any = None
    scope = {"headers": [], "method": "POST", "http_version": "1.1", "path": "/", "raw_path": b"/"}
    return Call(services=nothing, scope=scope, receive=nothing, writer=writer)


def counting() -> Callable[[], Call]:
    """Return a function that counts a call of 128 tokens in the metrics."""
    counted = CallCounter(Metrics([]).calls, {"InvokeModel"})
    now = monotonic()
    entry = Entry(request_id="", operation="InvokeModel", model_id="", headers=(), body=b"")
    entry.first_token, entry.last_token = now, now + 1
    entry.input_tokens, entry.output_tokens = 20, 128
    entry.end("stop")
    call = make_call()
    call.operation, call.entry = "InvokeModel", entry

    def count() -> Call:
        counted.begin()
        counted.end(call)
        return call

    return count


KEY = AccessKey(access_key_id="AKID", secret_access_key="secret")  # noqa: S106 - a dummy


def signed(body: bytes) -> RawRequest:
    now = datetime.now(UTC)
    timestamp = f"{now:{ISO_BASIC}}"
    scope = parse_scope(f"AKID/{timestamp[:8]}/us-east-1/bedrock/aws4_request")
    headers = [("host", "127.0.0.1:8080"), ("x-amz-date", timestamp)]
    names = tuple(name for name, _ in headers)
    canonical = canonical_request(
        method="POST",
        path=PATH,
        query=b"",
        headers=headers,
        signed_headers=names,
        payload_hash=sha256(body).hexdigest(),
    )
    signature = sign(KEY.secret_access_key, scope, string_to_sign(canonical, timestamp, scope))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={';'.join(names)},"
        f" Signature={signature}"
    )
    return RawRequest(
        method="POST",
        path=PATH,
        query=b"",
        headers=tuple(
            (name.encode(), value.encode())
            for name, value in (*headers, ("authorization", authorization))
        ),
        body=body,
        now=now,
    )


if __name__ == "__main__":
    main()
