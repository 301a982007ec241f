"""vLLM's own spans, which belong to the trace of the call."""

import json
from pathlib import Path

import pytest
import yaml

from engine.demo.checkpoints import make_demo
from engine.demo.options import ENVIRONMENT, OPTIONS
from engine.vllm.options import engine_arguments
from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.support.logs import logged_service
from tests.support.otlp import collecting
from tests.support.servers import SEVEN_B, call
from tests.support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"
BODY = json.dumps({"prompt": "<s>[INST] Hello [/INST]", "max_tokens": 5}).encode()


def test_spans_need_statistics() -> None:
    assert engine_arguments("w", 10, {})["disable_log_stats"] is True
    endpoint = {"otlp_traces_endpoint": "http://127.0.0.1:4317"}
    assert engine_arguments("w", 10, endpoint)["disable_log_stats"] is False


@pytest.mark.vllm
@pytest.mark.slow
def test_the_span_of_vllm_is_below_the_span_of_our_engine(
    tmp_path: Path, checkpoints: Path
) -> None:
    registry = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    [model] = [each for each in registry["models"] if each["id"] == SEVEN_B]
    with collecting() as collector:
        endpoint = f"{collector.url}/v1/traces"
        model |= {
            "weights": str(make_demo("dense", checkpoints)),
            "context_length": 1_024,
            "vllm": {**OPTIONS, "otlp_traces_endpoint": endpoint},
        }
        path = tmp_path / "registry.yaml"
        path.write_text(yaml.safe_dump({"models": [model]}))
        env = {
            **ENVIRONMENT,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with logged_service(tmp_path / "log", "--registry", str(path), env=env) as url:
            given = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            response, said = call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY, **given)
            assert response.status == 200, said
            until(lambda: any(span.name == "llm_request" for span in collector.spans), seconds=60)
            request_id = response.headers["x-amzn-requestid"]
            until(lambda: bool(collector.of_request(request_id)))
        spans = {span.name: span for span in collector.of_request(request_id)}

    ours, theirs = spans["engine vllm"], spans["llm_request"]
    assert (theirs.trace_id, theirs.parent_id) == (TRACE, ours.span_id)
    assert theirs.attributes["gen_ai.usage.completion_tokens"] == 5
    assert theirs.resource["service.name"] != ours.resource["service.name"]
