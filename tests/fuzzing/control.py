"""Random requests to the control routes, `/_emulator` and `/metrics`, and checks of the answers."""

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.fuzzing.app import Alarms, Service
from tests.fuzzing.requests import FuzzRequest, encode_oddly, mutate
from tests.fuzzing.values import draw, write

RULES: list[dict[str, Any]] = [
    {"when": {"operation": "Converse", "prompt": {"regex": "a+b"}}, "reply": "Hello"},
    {"when": {"model_id": "mistral.*", "turn": 2, "tool": "f*"}, "reply": ["a", "b"], "times": 2},
    {"when": {"system": ["a", {"regex": "b"}], "metadata": {"a": "*"}}, "reply": "a"},
    {
        "when": {"tool_result": "a", "has_tool_result": True, "step": 2},
        "reply": ["a", {"echo": True}],
    },
    {"reply": {"text": "a", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}},
    {"fault": {"exception": "ThrottlingException", "message": "No", "retry_after": 5}},
    {"fault": {"break": "cut", "after_tokens": 3}, "probability": 0.5, "seed": 7},
    {"state": "not-ready", "seconds": 5, "scope": "AKIDEXAMPLE"},
    {"pace": {"first_token": 0.1, "tokens_per_second": 50, "jitter": 0.5, "seed": 1}},
]
ACCEPTS = [
    *(b"", b"*/*", b"text/plain;version=1e400", b"text/plain; version=\xb2", b"\xff;q=9" * 99),
    *(b"application/openmetrics-text", b"application/openmetrics-text;version=;escaping=x"),
    *(b"gzip", b"gzip;q=NaN", b"gzip;q", b";;;,,,", b"identity;q=1e400"),
]
PATHS = [
    *("rules", "rules", "rules", "requests", "reset", "health", "ready", "rule", "", "rules/"),
    *("explain", "explain/", "explain/%00", "explain/a"),
]
QUERIES = [
    *("", "", "scope=a", "id=%00", "id=" + "9" * 5_000, "ended=NaN", "x=1", "scope=%ff", "&=&"),
]


def draw_control(random: Random) -> FuzzRequest:
    path = "/metrics" if random.random() < 0.1 else f"/_emulator/{random.choice(PATHS)}"
    method = random.choice(["GET", "POST", "POST", "POST", "DELETE", "PUT", "HEAD"])
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    if random.random() < 0.2:
        name = random.choice([b"accept", b"accept-encoding"])
        headers.append((name, random.choice(ACCEPTS)))
    query = random.choice(QUERIES).encode()
    return FuzzRequest("", method, path.encode(), query, tuple(headers), _draw_body(random))


def _draw_body(random: Random) -> bytes:
    if random.random() < 0.1:
        return encode_oddly(random, draw(random))
    rules: Any = deepcopy(random.sample(RULES, random.randrange(1, 4)))
    rules = random.choice([rules, {"rules": rules}, rules[0]])
    for _ in range(random.choice([0, 1, 1, 2])):
        rules = mutate(random, rules)
    return encode_oddly(random, write(rules))


async def judge_control(service: Service, asked: FuzzRequest, alarms: Alarms) -> None:
    """Check that no request causes a server error. Remove the rules afterwards."""
    answer = await service.ask(asked)
    listed = await service.ask(
        FuzzRequest("", "GET", b"/_emulator/rules", b"", asked.headers[:1], b"")
    )
    service.services.rules.remove()
    try:
        for each in (answer, listed):
            assert not each.raised, repr(each.raised)
            assert each.status < 500, each.status
        assert not alarms.heard, alarms.heard
        json.loads(listed.body)
        if answer.status >= 400 and b"__type" not in answer.body:
            assert json.loads(answer.body)["error"]
    except Exception as error:
        raise AssertionError(f"{error!r}\n{asked.told()}\n{answer.body[:500]!r}") from error
