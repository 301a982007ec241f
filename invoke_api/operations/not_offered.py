"""Bedrock's operations that this service does not offer: each says so, in an error of its own."""

from functools import partial

from invoke_api.operations.not_offered_table import CONTROL_PLANE, RUNTIME, read_table
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.replies import Reply
from invoke_api.pipeline.routes import OperationRoute
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
        OperationRoute(_with_labels(path), partial(_refuse, name=name), method=method, name=name)
        for name, method, path in rows
    ]


def _with_labels(path: str) -> str:
    first, *rest = path.split("*")
    label = "model_id" if path.startswith("/model/") else "label0"
    labels = [label, *(f"label{number}" for number in range(1, len(rest)))]
    return first + "".join(
        f"{{{name}:path}}{text}" for name, text in zip(labels, rest, strict=False)
    )


async def _refuse(call: Call, *, name: str) -> Reply:
    if name not in ENDLESS:
        await call.read_body()
    call.open_entry()
    admit_caller(call)
    kind = ERRORS.get(name, ValidationException)
    raise kind(f"Invoke API does not offer {name}.")


NOT_OFFERED = to_routes(RUNTIME, CONTROL_PLANE)
