"""The generator of schemas/regions.json: `python -m tests.models.regions`, from botocore's data."""

import json
from typing import Any

import botocore.session

from tests.support.servers import ROOT

FILE = ROOT / "schemas" / "regions.json"


def known_regions() -> list[str]:
    """Return the regions of all of AWS's partitions that the installed botocore knows."""
    session: Any = botocore.session.get_session()
    partitions = session.get_available_partitions()
    return sorted(
        {each for one in partitions for each in session.get_available_regions("ec2", one)}
    )


if __name__ == "__main__":
    FILE.write_text(json.dumps(known_regions(), indent=1) + "\n")
