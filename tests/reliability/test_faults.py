"""Rules under load: each applies exactly as often as it declares, and never in part."""

import asyncio
import json
from collections import Counter
from functools import partial
from time import monotonic

from tests.reliability.answers import ANSWERED, Answer
from tests.reliability.calls import ask, ask_once, counted, ends, journal, rule, side_by_side
from tests.reliability.evidence import Evidence
from tests.reliability.http1 import Http1, encode
from tests.reliability.mix import INVOKE, STREAM, THROTTLING, UNAVAILABLE
from tests.reliability.service import SCRIPTED, service_running
from tests.reliability.trials import CALLERS, CHANGES, FAULTS, MAX_WAIT_SECONDS, PATTERNS
from tests.support.servers import call

PLAIN = {"reply": "no fault"}


def test_so_many_faults_as_a_rule_says_for_any_number_of_callers(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        rule(service.url, **PLAIN)
        for name in (THROTTLING, UNAVAILABLE):
            rule(service.url, fault=name, times=FAULTS)
        works = [
            partial(ask_once, service.url, ask((INVOKE, STREAM)[number % 2]))
            for number in range(CALLERS)
        ]
        answers = asyncio.run(side_by_side(works))
        kept = Counter((entry["error"] or {}).get("type") for entry in journal(service.url))
        throttled = counted(service.url, "throttled")
    outcomes = Counter(answer.outcome for answer in answers)
    wanted = {THROTTLING: FAULTS, UNAVAILABLE: FAULTS, ANSWERED: CALLERS - 2 * FAULTS}

    assert kept == {None if name == ANSWERED else name: times for name, times in wanted.items()}
    assert throttled == FAULTS
    evidence.record("faults", CALLERS, (Counter(wanted) - outcomes).total())


async def change_rules(url: str, done: asyncio.Event) -> None:
    """Add and delete a rule repeatedly, beside others."""
    control = Http1(url)
    for number in range(CHANGES):
        given = {"reply": f"rule {number} says this", "when": {"prompt": "Hi"}}
        answer = await control.ask(encode("POST", "/_emulator/rules", given))
        assert answer.status == 201, answer.body
        await asyncio.sleep(0.005)
        rule_id = json.loads(answer.body)["rules"][0]["id"]
        answer = await control.ask(encode("DELETE", f"/_emulator/rules?id={rule_id}"))
        assert json.loads(answer.body) == {"removed": 1}
    control.leave()
    done.set()


async def ask_until(url: str, done: asyncio.Event) -> list[Answer]:
    connection, answers = Http1(url), []
    while not done.is_set():
        answers.append(await connection.ask(ask(INVOKE)))
    connection.leave()
    return answers


async def ask_while_rules_change(url: str) -> list[Answer]:
    done = asyncio.Event()
    asking = [asyncio.create_task(ask_until(url, done)) for _ in range(16)]
    await change_rules(url, done)
    return [answer for answers in await asyncio.gather(*asking) for answer in answers]


def test_rules_that_come_and_go_answer_whole_or_not_at_all(evidence: Evidence) -> None:
    with service_running(*SCRIPTED) as service:
        answers = asyncio.run(ask_while_rules_change(service.url))
        entries = {entry["request_id"]: entry for entry in journal(service.url)}
    broken = [answer for answer in answers if answer.outcome != ANSWERED]
    last = [answer for answer in answers if answer.headers["x-amzn-requestid"] in entries]
    ruled = 0
    for answer in last:
        entry = entries[answer.headers["x-amzn-requestid"]]
        text = json.loads(answer.body)["outputs"][0]["text"].strip()
        is_ruled = text.startswith("rule ") and text.endswith(" says this")
        assert text == entry["text"].strip()
        assert is_ruled == (entry["rule_id"] is not None)
        ruled += is_ruled

    assert ruled
    assert not set(ends(list(entries.values()))) - {"stop", "length"}
    evidence.record("rules", CHANGES, len(broken))


def test_a_pattern_that_others_would_search_for_ever_holds_up_nobody(evidence: Evidence) -> None:
    # The pattern may be refused, but all answers come in time.
    given = json.dumps({"when": {"prompt": {"regex": "^(a+)+$"}}, "reply": "all a"}).encode()
    with service_running(*SCRIPTED) as service:
        made, _ = call(service.url, "POST", "/_emulator/rules", given)
        began = monotonic()
        works = [partial(ask_once, service.url, ask(INVOKE, "a" * 41 + "!"))] * PATTERNS
        answers = asyncio.run(asyncio.wait_for(side_by_side(works), MAX_WAIT_SECONDS))
        took = monotonic() - began
    lost = [answer for answer in answers if answer.outcome != ANSWERED]

    assert made.status in (201, 400)
    assert took < MAX_WAIT_SECONDS
    evidence.record("patterns", PATTERNS, len(lost))
