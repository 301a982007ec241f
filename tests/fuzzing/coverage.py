"""One harness under atheris, which is led by what the code does: see `__main__.py`.

Its corpus grows in a folder of its own; what breaks a harness is left there as a file.
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
        "-close_fd_mask=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / NAME)], CHECK)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
