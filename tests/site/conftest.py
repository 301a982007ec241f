"""A build of the site, for all tests of this folder."""

from pathlib import Path

import pytest

from tests.site.built import build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a new build."""
    folder = tmp_path_factory.mktemp("site") / "built"
    build(folder)
    return folder
