"""Layers of imports, and the modules that may import each package."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A package may import itself and the packages before it.
PACKAGES = ["engine", "invoke_api", "tests"]

# Layers inside a package, by folders and files. A layer may import itself and those before it, but
# its members do not import each other.
LAYERS = {
    "engine": [
        {"__init__", "errors", "lora", "memory", "uploads"},
        {"schema_instances", "tokenization"},
        {"protocol"},
        {"detokenizer", "generation_task", "lifecycle", "text_tokens"},
        {"scripted", "streaming", "vllm"},
        {"demo", "remote"},
    ],
    "invoke_api": [
        {
            "__init__",
            "append_file",
            "bundled",
            "redaction",
            "regex",
            "testing",
            "transport",
            "wire",
        },
        {"validation"},
        {"dialects", "yaml_files"},
        {"cassettes", "models", "observability"},
        {"authentication", "guardrails", "rules"},
        {"conversion", "pipeline"},
        {"control", "openai", "operations"},
        {"sagemaker"},
        {"replay"},
        {"server"},
        {"recording", "sizes"},
        {"cli"},
        {"__main__", "asgi", "vllm_plugins"},
    ],
}

# The modules that may import each third-party package.
OWNERS = {
    "starlette": {
        "invoke_api/asgi",
        "invoke_api/cassettes/asgi_messages",
        "invoke_api/control",
        "invoke_api/pipeline",
        "invoke_api/recording",
        "invoke_api/server",
        "invoke_api/transport/asgi_writer",
    },
    "hypercorn": {"invoke_api/transport", "invoke_api/server/http_server"},
    "h11": set(),  # Hypercorn's
    "h2": {"invoke_api/transport"},
    "httptools": {"invoke_api/transport"},
    "priority": {"invoke_api/transport"},
    "docx": {"engine/uploads"},
    "openpyxl": {"engine/uploads"},
    "pypdf": {"engine/uploads"},
    "httpx": {"engine/remote/server", "invoke_api/recording"},
    "jsonschema": {
        "engine/schema_instances",
        "invoke_api/cassettes",
        "invoke_api/yaml_files",
        "invoke_api/models/registry",
        "invoke_api/rules",
        "invoke_api/validation",
    },
    "click": {
        "invoke_api/asgi",
        "invoke_api/cli",
        "invoke_api/recording/settings",
        "invoke_api/server",
        "invoke_api/sizes/command",
    },
    "re2": {"invoke_api/regex"},
    "opentelemetry": {"invoke_api/observability/tracing"},  # an extra
    "yaml": {"invoke_api/yaml_files"},
    "prometheus_client": {
        "engine/vllm/metrics",
        "invoke_api/control",
        "invoke_api/observability",
    },
    "vllm": {
        "engine/vllm/adapters",
        "engine/vllm/engine",
        "engine/vllm/client",
        "engine/vllm/cores",
        "engine/vllm/dtype",
        "engine/vllm/errors",
        "engine/vllm/metrics",
        "engine/vllm/requests",
        "engine/vllm/health_check",
        "engine/vllm/plugins/cpu_waiting",
    },
    "zmq": {"engine/vllm/client"},  # vLLM depends on it
    "huggingface_hub": {"engine/tokenization/tekken", "engine/vllm/weights"},
    "gguf": {"engine/demo"},
    "tokenizers": {"engine/demo", "engine/tokenization/byte_level"},  # vLLM depends on it
    "torch": {"engine/demo"},
    "safetensors": {"engine/demo"},
    "psutil": {"engine/vllm/leftovers", "engine/vllm/plugins/orphans", "engine/vllm/processes"},
    "sentencepiece": {"engine/tokenization/tokenizer"},
    "mistral_common": {
        "engine/tokenization/audio",
        "engine/tokenization/chat_template",
        "engine/tokenization/chat_tokenizers",
        "engine/tokenization/images",
        "engine/tokenization/tekken",
    },
    "PIL": {
        "engine/tokenization/chat_template",
        "engine/tokenization/images",
        "engine/tokenization/media",
        "engine/protocol",
        "engine/uploads",
    },
    "numpy": {
        "engine/tokenization/audio",
        "engine/tokenization/images",
        "engine/uploads",
        "invoke_api/cassettes",
    },
    "soundfile": {"engine/uploads"},
    "soxr": {"engine/uploads"},
    "pydantic": {"engine/tokenization/chat_template", "invoke_api/openai/completions_body"},
    "boto3": {"invoke_api/testing"},
    "openai": {"invoke_api/testing"},
    "pytest": {"invoke_api/testing"},
    "botocore": {"invoke_api/recording", "invoke_api/testing"},
}

# Third-party packages that invoke_api/wire may import.
WIRE = {"orjson"}

FILES = sorted(path for package in PACKAGES[:2] for path in (ROOT / package).rglob("*.py"))


def imports_of(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """Yield dotted names that a file imports. `at_import` leaves out imports inside functions."""
    tree = ast.parse(path.read_text())
    nodes: Iterator[ast.AST] = iter(tree.body) if at_import else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "a relative import hides where it leads"
            assert not node.level, "a relative import hides where it leads"
            yield node.module
            yield from (
                f"{node.module}.{alias.name}"
                for alias in node.names
                if is_module(f"{node.module}.{alias.name}")
            )


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def places_of(path: Path) -> list[str]:
    """Return the file without its suffix, and each folder above it, beginning at the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def layer_of(package: str, room: str) -> int:
    return next(number for number, layer in enumerate(LAYERS[package]) if room in layer)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    package, part = path.relative_to(ROOT).with_suffix("").parts[:2]
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top in PACKAGES:
            assert PACKAGES.index(top) <= PACKAGES.index(package), name
        if top == package:
            below = rest[0] if rest else "__init__"
            assert below == part or layer_of(package, below) < layer_of(package, part), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_foreign_package_is_imported_by_its_owners_only(path: Path) -> None:
    for name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or owners.intersection(places_of(path)), name


def test_wire_knows_the_standard_library_and_orjson() -> None:
    for path in (ROOT / "invoke_api" / "wire").glob("*.py"):
        for name in imports_of(path):
            top = name.split(".")[0]
            known = top in sys.stdlib_module_names or top in WIRE
            assert known or name.startswith("invoke_api.wire"), f"{path.name}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_vllm_and_torch_are_imported_inside_functions(path: Path) -> None:
    heavy = {"vllm", "torch", "safetensors", "psutil", "mistral_common", "huggingface_hub"}
    # These are imported inside functions themselves.
    if path.name in ("audio.py", "chat_tokenizers.py", "images.py", "tekken.py"):
        heavy.remove("mistral_common")

    assert not heavy & {name.split(".")[0] for name in imports_of(path, at_import=True)}


# Attributes of other libraries that files assign to, with the reason why they may.
ASSIGNED = {
    ("engine/vllm/plugins/cpu_waiting", "shm_broadcast.sched_yield"),  # vLLM has no setting for it
    ("engine/vllm/plugins/orphans", "tempfile.tempdir"),  # its documentation says so
    # prometheus_client reads a variable when it is imported, whose folder may be another program's.
    ("invoke_api/observability/exposition", "values.ValueClass"),
}


def assigned_names(path: Path) -> Iterator[str]:
    """Yield the attributes of imported third-party objects that a file assigns to or deletes."""
    tree = ast.parse(path.read_text())
    foreign = {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] not in PACKAGES
    }
    for node in ast.walk(tree):
        changed: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            changed = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            changed = [node.target]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
            changed = [ast.Attribute(node.args[0], "attribute")]
        for target in changed:
            inner = target
            while isinstance(inner, ast.Attribute | ast.Subscript):
                inner = inner.value
            is_foreign = isinstance(inner, ast.Name) and inner.id in foreign
            if is_foreign and isinstance(target, ast.Attribute):
                yield ast.unparse(target)


def test_nothing_of_another_library_is_assigned_to() -> None:
    found = {(places_of(path)[-1], name) for path in FILES for name in assigned_names(path)}

    assert found == ASSIGNED
    assert not [path for path in FILES if "[method-assign]" in path.read_text()]


@pytest.mark.parametrize(
    "line", ["m.a.b = 1", "del m.a", "m.a += 1", "setattr(m.C, name, 1)", "C.a = 1"]
)
def test_what_changes_another_library_is_found(tmp_path: Path, line: str) -> None:
    path = tmp_path / "file.py"
    path.write_text(f"import other as m\nfrom other import C\n{line}\n")

    assert len(list(assigned_names(path))) == 1


def test_only_one_file_reads_the_environment() -> None:
    readers = {
        places_of(path)[-1]
        for path in FILES
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }

    # engine/vllm/options hands defaults to vLLM, which reads nothing else; testing, to a server;
    # vllm_plugins runs in each process of vLLM's, where nothing may be imported before.
    assert readers == {
        "invoke_api/server/environment",
        "engine/vllm/options",
        "invoke_api/testing/server",
        "invoke_api/vllm_plugins",
    }


def test_every_file_says_what_it_holds() -> None:
    silent = [path for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]

    assert silent == []


PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_page_has_the_layers() -> None:
    rows = re.findall(r"^\| \d* \| (.*) \| \d* \| (.*) \|$", PAGE, re.MULTILINE)
    told = {
        package: [
            {name.removesuffix("/").removesuffix(".py") for name in re.findall("`(.*?)`", cell)}
            for cell in column
            if cell.strip()
        ]
        for package, column in zip(("invoke_api", "engine"), zip(*rows, strict=True), strict=True)
    }

    assert told == {
        package: [layer - {"__init__"} for layer in layers] for package, layers in LAYERS.items()
    }


def test_the_page_names_files_that_exist() -> None:
    files = [f"/{path.relative_to(ROOT)}" for path in [*FILES, *(ROOT / "tests").rglob("*.py")]]
    named = re.findall(r"`([\w/]+\.py)", PAGE)

    assert len(named) > 60
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


def test_the_page_has_a_paragraph_for_each_room() -> None:
    folders = {
        path.parent.name for path in FILES if path.parent.parent.name in ("invoke_api", "engine")
    }

    assert set(re.findall(r"\*\*`(\w+)/`\*\*", PAGE)) == folders
