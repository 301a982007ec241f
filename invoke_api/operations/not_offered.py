"""Bedrock's operations that this service does not offer: each says so, in an error of its own.

They stand in `schemas/not_offered.json`, by service model, path with a star for each label, and
method. Whoever builds one takes it out; a test says which one is missing or too many.
"""

from functools import partial

from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import Reply
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.wire.errors import AccessDeniedException, InvokeError, ValidationException
from invoke_api.yaml_files import load_schema

# Nearly every operation models it; those that do not are here with what they model.
ERRORS: dict[str, type[InvokeError]] = {"CreateModelCopyJob": AccessDeniedException}
TABLES: dict[str, dict[str, dict[str, str]]] = load_schema("not_offered.json")
# The client of these ends its request only after the answer.
ENDLESS = {"InvokeModelWithBidirectionalStream"}


def to_routes() -> list[OperationRoute]:
    """Return the longest paths first: a label may hold slashes, as ARNs do."""
    paths = {path: row for table in TABLES.values() for path, row in table.items()}
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


async def _refuse(call: Call, *, name: str) -> Reply:
    if name not in ENDLESS:
        await call.read_body()
    call.open_entry()
    admit_caller(call)
    kind = ERRORS.get(name, ValidationException)
    raise kind(f"Invoke API does not offer {name}.")


NOT_OFFERED = to_routes()
