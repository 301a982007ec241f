"""Bedrock's operations that this service does not offer, each refused with an error that says so.

`schemas/not_offered.json` lists them by service model, path (with a star for each label) and
method. Remove an operation there when you implement it. A test fails if one is missing or too many.
"""

from functools import partial

from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.wire.errors import AccessDeniedException, InvokeError, ValidationException
from invoke_api.yaml_files import load_schema

# Operations whose service model has no `ValidationException`, with an error that it has.
ERROR_TYPES: dict[str, type[InvokeError]] = {"CreateModelCopyJob": AccessDeniedException}
OPERATIONS_BY_PATH: dict[str, dict[str, dict[str, str]]] = load_schema("not_offered.json")
# Clients of these end their request only after the response.
BIDIRECTIONAL_OPERATIONS = {"InvokeModelWithBidirectionalStream"}


def to_routes() -> list[OperationRoute]:
    """Return the routes, longest paths first, because a label may match several steps."""
    paths = {path: row for table in OPERATIONS_BY_PATH.values() for path, row in table.items()}
    return [
        OperationRoute(_with_labels(path), partial(_refuse, name=name), method=method, name=name)
        for path in sorted(paths, key=lambda path: len(path.replace("*", "")), reverse=True)
        for method, name in paths[path].items()
    ]


def _with_labels(path: str) -> str:
    first, *rest = path.split("*")
    label = "model_id" if path.startswith("/model/") else "label0"
    labels = [label, *(f"label{number}" for number in range(1, len(rest)))]
    return first + "".join(
        f"{{{name}:path}}{text}" for name, text in zip(labels, rest, strict=False)
    )


async def _refuse(call: Call, *, name: str) -> HttpResponse:
    if name not in BIDIRECTIONAL_OPERATIONS:
        await call.read_body()
    call.open_entry()
    admit_caller(call)
    kind = ERROR_TYPES.get(name, ValidationException)
    raise kind(f"Invoke API does not offer {name}.")


NOT_OFFERED = to_routes()
