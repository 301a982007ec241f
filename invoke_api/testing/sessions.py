"""boto3 sessions for tests, which read AWS's service models once between them."""

from functools import lru_cache
from typing import Any


def new_session() -> Any:  # noqa: ANN401 - boto3 has no types
    """A `boto3.session.Session` that has found no keys yet, and that no other test has touched."""
    import boto3.session  # noqa: PLC0415 - a user of other SDKs needs none
    import botocore.session  # noqa: PLC0415

    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=core)


@lru_cache(maxsize=1)
def shared_session() -> Any:  # noqa: ANN401 - boto3 has no types
    """One for clients that are told their keys: making it costs as much as making a client."""
    return new_session()


@lru_cache(maxsize=1)
def _loader() -> Any:  # noqa: ANN401 - botocore has no types
    # Nine tenths of what a client costs is reading the model, which never changes.
    import botocore.loaders  # noqa: PLC0415

    return botocore.loaders.create_loader()
