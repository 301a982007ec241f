"""The package `engine`, the schemas and the registry, wherever they are installed.

In the repository they lie beside this package. In an installation they lie below it, in `bundled`:
at the top of site-packages, `engine` and `schemas` could replace packages of other programs.
"""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent
ROOT = _PACKAGE / "bundled" if (_PACKAGE / "bundled").is_dir() else _PACKAGE.parent


def put_on_path() -> None:
    """Have this process import `engine` from `ROOT`, whichever other `engine` is installed.

    Only the service's own processes call this. Raises `ImportError` if another one is imported.
    """
    engine = sys.modules.get("engine")
    places = [*getattr(engine, "__path__", [engine.__file__])] if engine else []
    if engine and str(ROOT / "engine") not in places:
        raise ImportError(
            f"{places[0]} is imported already, so Invoke API can't import its own `engine`."
            " Run it in a process of its own: `invoke-api serve`"
        )
    folder = str(ROOT)
    if folder not in sys.path[:1]:
        sys.path.insert(0, folder)
