"""boto3 sessions for tests, which share one cache of AWS's service models."""

from functools import lru_cache
from typing import Any


def new_session() -> Any:  # noqa: ANN401 - boto3 has no types
    """Return a new `boto3.session.Session`, which has not looked for credentials yet."""
    import boto3.session  # noqa: PLC0415 - users of other SDKs need no boto3
    import botocore.session  # noqa: PLC0415

    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=core)


@lru_cache(maxsize=1)
def shared_session() -> Any:  # noqa: ANN401 - boto3 has no types
    """Return the shared session, for clients with explicit credentials. Making one is slow."""
    return new_session()


@lru_cache(maxsize=1)
def _loader() -> Any:  # noqa: ANN401 - botocore has no types
    # Reading the service model takes nine tenths of the time of making a client.
    import botocore.loaders  # noqa: PLC0415

    return botocore.loaders.create_loader()
