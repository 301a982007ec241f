"""Coverage-guided fuzzing of one harness with atheris: see `__main__.py`.

The corpus grows in its own folder. atheris also writes inputs that break the harness there.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["invoke_api", "engine", "tests.fuzzing.harnesses"]):
    from tests.fuzzing.kept import CORPUS, check_of

    NAME = sys.argv[1]
    CHECK = check_of(NAME)


def main(folder: Path, seconds: str, seed: str) -> None:
    found = folder / NAME
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-artifact_prefix={folder}/broken-{NAME}-",
        "-max_len=8192",
        "-timeout=20",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / NAME)], CHECK)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
