"""Bedrock's operations that this service does not offer: each says so, in an error of its own."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.invocation import open_entry
from invoke_api.operations.not_offered_table import CONTROL_PLANE, RUNTIME, read_table
from invoke_api.operations.routing import OperationRoute
from invoke_api.wire.errors import AccessDeniedException, InvokeError, ValidationException

# Nearly every operation models it; those that do not are here with what they model.
ERRORS: dict[str, type[InvokeError]] = {"CreateModelCopyJob": AccessDeniedException}
# Whose client does not end its request before it has been answered.
ENDLESS = {"InvokeModelWithBidirectionalStream"}


def to_routes(*tables: str) -> list[OperationRoute]:
    """The longest paths first: a label may hold slashes, as ARNs do."""
    rows = [row for table in tables for row in read_table(table)]
    rows.sort(key=lambda row: len(row[2].replace("*", "")), reverse=True)
    return [
        OperationRoute(_with_labels(path), _refuser(name), methods=[method], name=name)
        for name, method, path in rows
    ]


def _with_labels(path: str) -> str:
    first, *rest = path.split("*")
    label = "model_id" if path.startswith("/model/") else "label0"
    labels = [label, *(f"label{number}" for number in range(1, len(rest)))]
    return first + "".join(
        f"{{{name}:path}}{text}" for name, text in zip(labels, rest, strict=False)
    )


def _refuser(name: str) -> Callable[[Request], Awaitable[Response]]:
    # Starlette asks whether it is a function that must be awaited, and a partial of one is.
    return partial(_refuse, name=name)


async def _refuse(request: Request, *, name: str) -> Response:
    body = b"" if name in ENDLESS else await read_body(request)
    open_entry(request, body, name, request.path_params.get("model_id", ""))
    admit_caller(request, body)
    kind = ERRORS.get(name, ValidationException)
    raise kind(f"Invoke API does not offer {name}.")


NOT_OFFERED = to_routes(RUNTIME, CONTROL_PLANE)
