"""Calls on their way past the invocation log, which keeps what goes in and what comes out.

It stands around the whole service and only where there is such a log: every write of a stream
passes it.
"""

from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from invoke_api.authentication.gate import Caller
from invoke_api.identifiers import parse_identifier
from invoke_api.journal import Entry
from invoke_api.operations.options import METADATA
from invoke_api.registry import Registry
from invoke_api.telemetry.configurations import LoggingConfigurations
from invoke_api.telemetry.invocation_log import InvocationLog
from invoke_api.telemetry.record import LONGEST, Logged
from invoke_api.wire.errors import InternalServerException

# The User Guide's list.
LOGGED = {"InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"}
# A stream of so many bytes has more than `LONGEST` in its chunks: frames are 5 to 8 times as long.
LONGEST_STREAM = 20 * LONGEST


@dataclass(slots=True)
class Body:
    """The bytes of a body, None once there are too many of them."""

    most: int
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, message: Message) -> None:
        part: bytes = message.get("body", b"")
        self.size += len(part)
        if self.size > self.most:
            self.parts.clear()
        elif part:
            self.parts.append(part)

    def whole(self) -> bytes | None:
        return b"".join(self.parts) if self.size <= self.most else None


class LoggedCalls:
    """The service, whose calls are logged where their account and region want it so."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        log: InvocationLog,
        configurations: LoggingConfigurations,
        registry: Registry,
    ) -> None:
        self._app = app
        self._log = log
        self._configurations = configurations
        self._registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked, answered = Body(LONGEST), Body(LONGEST_STREAM)

        async def hear() -> Message:
            message = await receive()
            asked.add(message)
            return message

        async def say(message: Message) -> None:
            answered.add(message)
            await send(message)

        error = None
        try:
            await self._app(scope, hear, say)
        except Exception:  # a bug, which is answered further out
            error = InternalServerException.__name__
            raise
        finally:
            self._keep(scope, asked, answered, error)

    def _keep(self, scope: Scope, asked: Body, answered: Body, error: str | None) -> None:
        """Guess: who is not known by the time of a failure has nothing logged."""
        caller: Caller | None = scope.get("caller")
        entry: Entry | None = scope.get("entry")
        if caller is None or entry is None or entry.operation not in LOGGED:
            return
        if not self._configurations.wants_text(caller.account_id, caller.region):
            return
        # Guess: the model as it was called, be it by a profile, a name or an ARN.
        model_id: str = scope["path_params"]["model_id"]
        identifier = parse_identifier(model_id)
        through = identifier.kind == "application-inference-profile" or self._registry.find_profile(
            identifier, caller.region
        )
        call = Logged(
            moment=entry.came,
            account=caller.account_id,
            arn=caller.arn,
            region=caller.region,
            request_id=entry.request_id,
            operation=entry.operation,
            model_id=model_id,
            error=entry.error.type if entry.error else error,
            metadata=_find_metadata(entry),
            request=asked.whole(),
            response=answered.whole(),
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
            inference_region=caller.region if through else None,
        )
        self._log.add(call)


def _find_metadata(entry: Entry) -> bytes | None:
    return next((value for name, value in entry.headers if name == METADATA.encode()), None)
