"""Inputs of the benchmarks, and the pure parts of their reports."""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import apis, call_path, prefix, serving, swap, workers
from bench.call_path import Call, lines_of_code, table, way
from bench.checks import checks
from bench.streams import plots
from bench.streams.answers import COMPLETIONS, Kind, invoke_kinds, judge, length
from bench.streams.batch import Batch, Drive, Sample
from bench.streams.checkpoints import MODELS, dummy_checkpoint
from bench.streams.documents import filled
from bench.streams.figures import Turn, quantile, to_figures, to_row
from bench.streams.load import drive
from bench.streams.plan import to_plan
from bench.streams.prompts import OVERHEAD_TOKENS, make_prompt, make_prompts
from bench.streams.published import published_table
from bench.streams.servers import BESIDE, FLOOR, OURS, to_flags
from bench.streams.tables import COLUMNS, full_table, left_out, markdown, times
from bench.streams.targets import targets_table
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.models.registry import load_registry
from tests.support.servers import ROOT

CHECKS = dict(checks(prompts=1))


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_measured_passes_its_check(name: str) -> None:
    assert CHECKS[name]() is not None


@pytest.mark.parametrize(
    ("document", "with_table"),
    [
        (serving.DOCUMENT, serving.with_table),
        (prefix.DOCUMENT, prefix.with_table),
        (workers.DOCUMENT, workers.with_table),
        (apis.DOCUMENT, apis.with_table),
    ],
    ids=["serving", "prefix", "workers", "apis"],
)
def test_the_document_has_the_table_of_the_last_run(
    document: Path, with_table: Callable[[str], str]
) -> None:
    text = document.read_text()

    assert with_table(text) == text


def test_the_document_compares_all_five_ways() -> None:
    text = serving.DOCUMENT.read_text()

    assert all(text.count(f"| {name} |") >= 3 for name in BESIDE)


def test_what_the_document_links_to_is_there() -> None:
    results = serving.load_results()

    for name, result in results.items():
        assert (serving.RESULTS / f"{name}.md").read_text() == full_table(result)
        for plot in plots.PLOTS:
            drawn = (serving.RESULTS / plots.file_name(name, plot)).read_text()
            assert plots.digest(result["rows"]) in drawn


@pytest.mark.parametrize("tokenizer", ["v1", "v1-in-v3"])
@pytest.mark.parametrize("tokens", [OVERHEAD_TOKENS, 128, 6_400])
def test_a_prompt_has_as_many_tokens_as_are_asked_for(tokenizer: str, tokens: int) -> None:
    encode = load_tokenizer(tokenizer).encode

    assert [len(encode(make_prompt(tokens, number))) for number in (0, 123_456)] == [tokens] * 2


def test_no_prompt_is_too_short_for_its_number() -> None:
    with pytest.raises(ValueError, match="at least 10 tokens, not 9"):
        make_prompt(9, 0)


@pytest.mark.parametrize(("words", "requests"), [(128, 18), (6_400, 6)])
def test_no_two_requests_of_a_turn_have_the_same_prompt(words: int, requests: int) -> None:
    prompts = make_prompts(words, 3, 1_000)

    assert len(prompts) == requests
    assert [prompt[:6] for prompt in prompts] == [f"00{1_000 + step}" for step in range(requests)]


def test_the_users_of_a_batch_share_its_prompts() -> None:
    asked: dict[str, list[str]] = {}

    async def one(_: Batch, prompt: str) -> Sample:
        asked.setdefault(prompt[0], []).append(prompt)
        return Sample([], 1.0)

    driven = asyncio.run(drive(Batch(3, 8, 1.0, ["a", "b", "c", "a2", "b2", "c2"]), one))

    assert asked == {"a": ["a", "a2"], "b": ["b", "b2"], "c": ["c", "c2"]}
    assert len(driven.samples) == 6


HEAD = b"HTTP/1.1 200 OK\r\nX-Amzn-Bedrock-Input-Token-Count: 3\r\n"
HEAD += b"x-amzn-bedrock-output-token-count: 2\r\n\r\n"
USAGE = b'{"usage": {"prompt_tokens": 3, "completion_tokens": 2}}'


def chunk(body: dict[str, Any]) -> bytes:
    return b'{"bytes":"' + b64encode(json.dumps(body).encode()) + b'","p":"abc"}'


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}
KINDS = invoke_kinds("a:0")
STREAM, WHOLE = KINDS["InvokeModelWithResponseStream"], KINDS["InvokeModel"]


@pytest.mark.parametrize(
    ("kind", "answer", "judged"),
    [
        (STREAM, HEAD + chunk({}) + chunk(METRICS), (3, 2, None)),
        (STREAM, HEAD + chunk({}), (0, 0, "broken off")),
        (STREAM, b"HTTP/1.1 429 Too Many Requests\r\n\r\n{}", (0, 0, "status 429")),
        (WHOLE, HEAD, (3, 2, None)),
        (COMPLETIONS[True], HEAD + USAGE, (3, 2, None)),
        (COMPLETIONS[False], HEAD, (0, 0, "broken off")),
    ],
)
def test_an_answer_is_judged(
    kind: Kind, answer: bytes, judged: tuple[int, int, str | None]
) -> None:
    assert judge(answer, kind, tokens=2) == judged


def test_an_answer_of_another_length_has_failed() -> None:
    assert judge(HEAD, WHOLE, tokens=5)[2] == "of another length"


def test_an_answer_is_as_long_as_its_head_says() -> None:
    assert length(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab") == 43
    assert length(b"HTTP/1.1 200 OK\r\n\r\n") is None


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(number) for number in range(1, 201)], 0.99) == 198.0
    assert quantile([5.0], 0.99) == 5.0
    assert quantile([], 0.5) is None


GOOD = Sample([0.1, 0.3], took=0.3, prompt_tokens=128, tokens=2)
LATE = Sample([0.1], took=60.0, failure="timed out")


def turn(*samples: Sample) -> Turn:
    return Turn(Drive(list(samples), seconds=2.0, own=0.5), 0.002, 10, 20)


def test_the_figures_are_those_of_good_answers() -> None:
    figures = to_figures(turn(GOOD, GOOD))

    assert figures.tokens_per_second == 2.0
    assert figures.requests_per_second == 1.0
    assert figures.first_p99 == 0.1
    assert figures.between_p50 == pytest.approx(0.2)
    assert figures.cpu_per_token == pytest.approx(500.0)
    assert figures.generator_share == 0.25


def test_what_failed_is_counted_and_not_averaged_in() -> None:
    row = to_row([turn(GOOD, LATE)], [turn(GOOD, GOOD)])

    assert row["failed"] == {"timed out": 1}
    assert row["answer_p99"] == 0.3
    assert row["cpu_per_token"] is row["cpu_ratio"] is None
    assert row["speed_ratio"] == 0.5


def test_where_all_failed_there_are_no_figures() -> None:
    row = {"server": OURS, "words": 128, "users": 2, **to_row([turn(LATE, LATE)], [turn(LATE)])}

    cells = markdown(COLUMNS, [row]).splitlines()[-1]

    expected = ["-", "-", "-", "-", "-", "-", "-", "0", "0", "2 of 2: 2 timed out"]
    assert cells == f"| {OURS} | 128 | 2 | {' | '.join(expected)} |"


def test_what_reads_much_is_asked_once_and_what_reads_too_much_is_left_out() -> None:
    plan = to_plan([1, 4, 8], [128, 6_400, 40_000], 128, context=32_768, most_read=16_384)

    assert plan.pairs == [(128, 1), (128, 4), (128, 8), (6_400, 1)]
    assert plan.once == [(6_400, 4), (6_400, 8)]
    too_short = "Left out, as the prompts are too long: 40000 words at 1, 4, 8 users."
    assert left_out(plan.left_out) == [too_short]


def test_the_table_says_how_often_each_pair_was_measured() -> None:
    rows = [
        {"words": words, "users": users, "rounds": rounds}
        for words, users, rounds in [(128, 1, 3), (6_400, 16, 1), (6_400, 32, 1)]
    ]

    assert times({"rows": rows, "once": []}) == "medians of 1 to 3 rounds"
    once = times({"rows": rows, "once": [[6_400, 16], [6_400, 32]]})
    assert once == "medians of 3 rounds; 6400 words at 16, 32 users once"


def ratios(server: str, words: int, users: int, *of_server: float | None) -> dict[str, Any]:
    keys = ("cpu_ratio", "speed_ratio", "first_ratio")
    named = dict(zip(keys, of_server, strict=True))
    return {"server": server, "words": words, "users": users, **named}


def test_the_targets_stand_beside_what_was_reached() -> None:
    rows = [
        ratios(OURS, 128, 1, 0.9, 1.5, 0.75),
        ratios(FLOOR, 128, 1, 0.1, 2.0, 0.5),
        ratios(OURS, 128, 32, 0.5, 1.0, 0.5),
        ratios(FLOOR, 128, 32, 0.1, 1.25, 0.5),
        ratios(OURS, 128, 128, 0.4, 0.98, 1.25),
        ratios(FLOOR, 128, 128, 0.1, 1.0, 0.5),
        ratios(OURS, 6_400, 128, None, None, None),
        ratios(FLOOR, 6_400, 128, None, None, None),
    ]

    lines = targets_table({"rows": rows}).splitlines()

    assert lines[0] == "| Invoke API, stream | aim | 128 words in | 6400 words in |"
    assert [line.split("| ")[3:] for line in lines[2:]] == [
        ["0.40 to 0.50, 0.45 in the middle ", "- |"],
        ["0.98 to 1.50, 1.00 in the middle ", "- |"],
        ["0.75 to 0.98, 0.80 in the middle ", "- |"],
        ["0.50 to 1.25, 0.75 in the middle ", "- |"],
    ]


def test_published_figures_stand_beside_ours() -> None:
    row = {"server": OURS, "words": 128, "users": 128, "tokens_per_second": 5_000.4}
    machine = {"gpus": ["A card"], "processor": "x"}
    result = {"machine": machine, "tokens": 128, "rows": [{**row, "answer_p50": 3.2}]}

    table = published_table([result])

    assert "| 128 | 128 | 1030 | 88 | 5000 | 25 |" in table
    assert "| 6400 | 16 | - | - | - | - |" in table


def test_only_what_is_between_the_marks_is_filled() -> None:
    document = "a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\n<!-- end -->\n"

    assert filled(document, "x", "new\n") == document.replace("old", "new")
    with pytest.raises(ValueError, match="no <!-- z -->"):
        filled(document, "z", "new\n")


def test_engine_arguments_become_flags() -> None:
    options = {"enforce_eager": True, "enable_x": False, "max_model_len": 8, "limit": {"image": 2}}

    flags = ["--enforce-eager", "--no-enable-x", "--max-model-len", "8", "--limit", '{"image": 2}']
    assert to_flags(options) == flags


@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_the_full_size_is_written_and_registered(name: str, tmp_path: Path) -> None:
    checkpoint = dummy_checkpoint(tmp_path, name, tensor_parallel=2, layers=3)

    config = json.loads((checkpoint.folder / "config.json").read_text())
    model = load_registry(Path(checkpoint.serve[1])).models[checkpoint.model_id]
    assert (config["hidden_size"], config["num_hidden_layers"]) == (4_096, 3)
    assert model.weights == str(checkpoint.folder)
    assert model.vllm["load_format"] == "dummy"
    assert model.vllm["tensor_parallel_size"] == 2
    assert checkpoint.name.endswith("dummy weights, 3 layers only")


def test_the_same_figures_make_the_same_plots(tmp_path: Path) -> None:
    result = serving.load_results()["serving"]

    plots.draw(result, tmp_path, "one")
    plots.draw(result, tmp_path, "two")

    for plot in plots.PLOTS:
        one, two = (tmp_path / plots.file_name(name, plot) for name in ("one", "two"))
        assert one.read_text() == two.read_text()


def test_the_document_has_the_swap_time_of_the_last_run() -> None:
    document = swap.DOCUMENT.read_text()

    assert swap.with_sentence(document) == document


def test_the_paths_of_two_calls_are_counted() -> None:
    command = [sys.executable, "-m", call_path.__name__, "--rounds", "1", "--way"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    head, _, *rows = done.stdout.partition("\n\n")[0].splitlines()
    counts = [[int(cell) for cell in row.split("|")[2:-1]] for row in rows]
    assert head == "| call | calls | functions | files | switches between files |"
    assert len(counts) == 2
    for calls, functions, files, switches in counts:
        assert calls > functions > files > 10
        assert calls > switches > 10
    assert "engine/scripted.py: " in done.stdout


def test_a_path_is_shown_by_the_files_it_passes_through() -> None:
    path = (Call("a.py", "f", 1), Call("a.py", "g", 2), Call("b.py", "h", 1), Call("a.py", "f", 1))

    assert list(table({"x": path}))[2:] == ["| x | 4 | 3 | 2 | 2 |"]
    assert list(way(path)) == ["a.py: f, g", "b.py: h", "a.py: f"]


def test_lines_of_code_are_neither_blank_nor_comments_nor_docstrings() -> None:
    source = '''"""A module
of two lines."""

# a comment
def f() -> str:
    """Return a text."""
    return (  # the reason
        # another
        """one

        two"""
    )
'''

    assert lines_of_code(source) == 5
