"""The dashboard and the alerts of examples/monitoring, with Prometheus itself and real scrapes.

Grafana is not run: its files are compared with each other and with what Prometheus answers.
"""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import pytest
import yaml

from tests.project.test_links import anchors
from tests.support.metrics import Scrape
from tests.support.prometheus import Prometheus, prometheus_running, promtool
from tests.support.servers import (
    COMMAND,
    ROOT,
    call,
    command_running,
    invoke,
    wait_until_ready,
)

FOLDER = ROOT / "examples" / "monitoring"
ALERTS = FOLDER / "alerts.yaml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in RULES]
DASHBOARD = json.loads((FOLDER / "grafana" / "dashboards" / "invoke-api.json").read_text())
RUNBOOKS = ROOT / "docs" / "operate" / "runbooks.md"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
# Labels that Prometheus adds to each sample, and its own metrics.
ADDED = {"job", "instance"}
OF_PROMETHEUS = {"up", "ALERTS"}
HISTOGRAM = "le"


class Case(NamedTuple):
    """A test of one alert: series a minute apart, and whether it fires after so many minutes."""

    alert: str
    series: dict[str, str]
    minutes: int
    fires: bool


FROM = '{job="invoke-api", instance="a"}'
ENGINE = 'invoke_api_engine_state{job="invoke-api", instance="a", engine="vllm-1", state="%s"}'
ENDED = 'invoke_api_calls_total{job="invoke-api", instance="a", model_id="m", outcome="%s"}'
FIRST = (
    "invoke_api_time_to_first_token_seconds_bucket"
    '{job="invoke-api", instance="a", model_id="m", le="%s"}'
)
WAITING = 'invoke_api_engine_calls_waiting{job="invoke-api", instance="a", engine="vllm-1"}'
RUNNING = 'invoke_api_engine_calls_running{job="invoke-api", instance="a", engine="vllm-1"}'
CASES = [
    Case("InvokeApiDown", {f"up{FROM}": "1x2 0x9"}, 7, fires=True),
    Case("InvokeApiDown", {f"up{FROM}": "1x2 0 1x9"}, 7, fires=False),
    Case("InvokeApiDown", {'up{job="another"}': "1x9"}, 7, fires=True),
    Case("InvokeApiEngineFailed", {ENGINE % "failed": "0x2 1x9"}, 7, fires=True),
    Case("InvokeApiEngineFailed", {ENGINE % "failed": "0 1 0x9"}, 7, fires=False),
    Case("InvokeApiEngineLoadsLong", {ENGINE % "loading": "1x60"}, 31, fires=True),
    Case("InvokeApiEngineLoadsLong", {ENGINE % "loading": "1x20 0x40"}, 31, fires=False),
    Case("InvokeApiEngineRestarts", {ENGINE % "failed": "0 1 0 1 0x30"}, 10, fires=True),
    Case("InvokeApiEngineRestarts", {ENGINE % "failed": "0 1 0x30"}, 10, fires=False),
    Case(
        "InvokeApiServerErrors",
        {ENDED % "stop": "0+90x30", ENDED % "server_error": "0+10x30"},
        20,
        fires=True,
    ),
    Case(
        "InvokeApiServerErrors",
        {ENDED % "stop": "0+99x30", ENDED % "server_error": "0+1x30"},
        20,
        fires=False,
    ),
    Case(
        "InvokeApiThrottled",
        {ENDED % "stop": "0+7x40", ENDED % "throttled": "0+3x40"},
        30,
        fires=True,
    ),
    Case(
        "InvokeApiThrottled",
        {ENDED % "stop": "0+9x40", ENDED % "throttled": "0+1x40"},
        30,
        fires=False,
    ),
    Case(
        "InvokeApiFirstTokenSlow",
        {FIRST % "10": "0+1x40", FIRST % "20": "0+9x40", FIRST % "+Inf": "0+9x40"},
        30,
        fires=True,
    ),
    Case(
        "InvokeApiFirstTokenSlow",
        {FIRST % "10": "0+9x40", FIRST % "20": "0+9x40", FIRST % "+Inf": "0+9x40"},
        30,
        fires=False,
    ),
    Case("InvokeApiCallsWait", {WAITING: "40x40"}, 20, fires=True),
    Case("InvokeApiCallsWait", {WAITING: "40x5 4x40"}, 20, fires=False),
    Case("InvokeApiEngineStalls", {RUNNING: "3x40", ENDED % "stop": "5x40"}, 30, fires=True),
    Case("InvokeApiEngineStalls", {RUNNING: "3x40"}, 30, fires=True),
    Case("InvokeApiEngineStalls", {RUNNING: "3x40", ENDED % "stop": "5+1x40"}, 30, fires=False),
    Case("InvokeApiEngineStalls", {RUNNING: "0x40", ENDED % "stop": "5x40"}, 30, fires=False),
    Case(
        "InvokeApiRestarts",
        {f"process_start_time_seconds{FROM}": "10x3 99x3 200x30"},
        10,
        fires=True,
    ),
    Case(
        "InvokeApiRestarts",
        {f"process_start_time_seconds{FROM}": "10x3 99x30"},
        10,
        fires=False,
    ),
    Case(
        "InvokeApiFilesRunOut",
        {f"process_open_fds{FROM}": "900x20", f"process_max_fds{FROM}": "1000x20"},
        10,
        fires=True,
    ),
    Case(
        "InvokeApiFilesRunOut",
        {f"process_open_fds{FROM}": "700x20", f"process_max_fds{FROM}": "1000x20"},
        10,
        fires=False,
    ),
]


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def filled(expression: str) -> str:
    """Return an expression of the dashboard with all its variables replaced, as by Grafana."""
    text = expression.replace("$__rate_interval", "30s")
    return re.sub(r"\$(job|instance|model)\b", ".*", text)


PANELS = {
    f"{panel['title']}: {target['legendFormat']}": filled(target["expr"])
    for panel in panels()
    for target in panel["targets"]
}
EXPRESSIONS = {**{rule["alert"]: rule["expr"] for rule in RULES}, **PANELS}


def selectors(node: promql_parser.Expr) -> Iterator[tuple[str, set[str], list[tuple[str, str]]]]:
    """Yield each metric of an expression, the labels it is selected by, and those of equality."""
    found: list[promql_parser.VectorSelector] = []
    promql_parser.walk(
        node,
        lambda each: found.append(each) if isinstance(each, promql_parser.VectorSelector) else None,
    )
    for each in found:
        matchers = each.matchers.matchers
        equal = [(one.name, one.value) for one in matchers if one.op == promql_parser.MatchOp.Equal]
        yield str(each.name), {one.name for one in matchers}, equal


def test_every_alert_fires_and_keeps_quiet_in_a_case() -> None:
    tried = {(case.alert, case.fires) for case in CASES}

    assert tried == {(name, fires) for name in NAMES for fires in (True, False)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.fires}")
def test_an_alert_fires_as_it_should(tmp_path: Path, case: Case) -> None:
    query = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}})'
    expected = [{"labels": "{}", "value": 1}] if case.fires else []
    file = tmp_path / "test.json"
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": case.series[name]} for name in case.series],
        "promql_expr_test": [
            {"expr": query, "eval_time": f"{case.minutes}m", "exp_samples": expected}
        ],
    }
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [test]}))
    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_alerts_and_configuration() -> None:
    for arguments in (("rules", ALERTS), ("config", FOLDER / "prometheus.yaml")):
        done = promtool("check", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_has_a_runbook_that_says_what_to_do(rule: dict[str, Any]) -> None:
    base, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    section = RUNBOOKS.read_text().split(f"## {rule['alert']}\n")[1].split("\n## ")[0]

    assert base.endswith(f"/blob/main/{RUNBOOKS.relative_to(ROOT)}")
    assert anchor in anchors(RUNBOOKS)
    assert anchor == rule["alert"].lower()
    assert [*re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE)] == [
        "What it means.",
        "How to look.",
        "What to do.",
    ]


def test_no_runbook_is_left_over() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOKS.read_text(), re.MULTILINE) == NAMES


def call_both_ways(url: str) -> None:
    """Make a call that is answered and one that is refused."""
    statuses = [invoke(url, body)[0].status for body in ({"prompt": "Hi", "max_tokens": 5}, {})]
    assert statuses == [200, 400]


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, 30)
        call_both_ways(url)
        yield url


@pytest.fixture(scope="module")
def prometheus(served: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus_running(folder, served, ALERTS, port) as running:
        running.wait_for("invoke_api_calls_total")
        call_both_ways(served)
        running.wait_for("sum(changes(invoke_api_calls_total[5m])) >= 2")
        yield running


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_metrics_and_labels_are_those_of_a_scrape(served: str, name: str) -> None:
    scrape = Scrape(served)
    chosen = [*selectors(promql_parser.parse(EXPRESSIONS[name]))]

    assert chosen
    for metric, labels, equal in chosen:
        if metric in OF_PROMETHEUS:
            continue
        assert metric in {named for named, _ in scrape.samples}
        for label in labels - ADDED:
            assert scrape.labels(metric, label), f"{metric} has no label {label}"
        for label, value in equal:
            if label == "state":
                assert value in scrape.labels(metric, label)


@pytest.mark.parametrize("name", PANELS)
def test_prometheus_has_something_for_each_panel(prometheus: Prometheus, name: str) -> None:
    samples = prometheus.query(PANELS[name])

    assert samples
    assert all(sample["value"][1] != "" for sample in samples)


def test_no_alert_fires_at_a_healthy_service(prometheus: Prometheus) -> None:
    rules = prometheus.alerting_rules()
    states = {rule["name"]: (rule["health"], rule["state"]) for rule in rules}

    assert states == dict.fromkeys(NAMES, ("ok", "inactive"))


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alerts_labels_are_those_that_its_words_name(
    prometheus: Prometheus, rule: dict[str, Any]
) -> None:
    """Query each alert without its threshold: the samples must have the labels of its sentences.

    Calls of any outcome stand in for failed ones, which a healthy service has not.
    """
    bare = re.split(r" (?:==|>=|>) [\d.]+(?: or absent.*| unless .*)?$", rule["expr"])[0]
    words = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$labels\.(\w+)", words))
    samples = prometheus.query(re.sub(r'outcome="\w+"', 'outcome=~".+"', bare))

    assert samples
    assert all(named <= sample["metric"].keys() for sample in samples)


def test_the_outcomes_that_are_asked_for_exist() -> None:
    told = (ROOT / "docs" / "operate" / "metrics.md").read_text()
    asked = set(re.findall(r'outcome="(\w+)"', " ".join(EXPRESSIONS.values())))

    assert asked
    assert all(f"| `{outcome}` |" in told for outcome in asked)


def test_panels_have_a_place_and_a_source_of_their_own() -> None:
    [source] = yaml.safe_load(
        (FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    squares = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for grid in [panel["gridPos"]]
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", json.dumps(DASHBOARD["panels"])))

    assert len(set(ids)) == len(ids)
    assert len(set(squares)) == len(squares), "two panels overlap"
    assert max(x for x, _ in squares) < 24
    assert {panel["datasource"]["uid"] for panel in panels()} == {source["uid"]}
    assert used == variables | {"__rate_interval"}


def test_compose_mounts_the_files_where_they_are_read() -> None:
    prometheus, grafana = COMPOSE["prometheus"], COMPOSE["grafana"]
    mounts = [volume.split(":") for each in (prometheus, grafana) for volume in each["volumes"]]
    inside = {there: ROOT / here for here, there, *_ in mounts if here.startswith("./")}
    provider = yaml.safe_load(
        (FOLDER / "grafana" / "provisioning" / "dashboards" / "invoke-api.yaml").read_text()
    )["providers"][0]
    configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    [scraped] = configuration["scrape_configs"]
    [names] = scraped["dns_sd_configs"]
    source = yaml.safe_load(
        (FOLDER / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"][0]

    assert all(path.exists() for path in inside.values())
    assert inside[provider["options"]["path"]] == FOLDER / "grafana" / "dashboards"
    assert inside["/etc/grafana/provisioning"] == FOLDER / "grafana" / "provisioning"
    assert inside["/etc/prometheus"] == FOLDER
    assert source["url"] == "http://prometheus:9090"
    assert set(names["names"]) == {"demo", "gpu"} <= COMPOSE.keys()
    assert (FOLDER / configuration["rule_files"][0]) == ALERTS
    assert prometheus["profiles"] == grafana["profiles"] == ["monitoring"]


def test_a_scrape_by_address_is_let_in_where_all_addresses_are_served() -> None:
    """Compose's Prometheus scrapes the address of a container that serves everybody."""
    flags = ["--engine", "scripted", "--host", "0.0.0.0", "--allow-anonymous"]
    with command_running([*COMMAND, *flags]) as url:
        port = url.rpartition(":")[2]
        status, _ = call(f"http://127.0.0.2:{port}", "GET", "/metrics")

    assert status.status == 200
