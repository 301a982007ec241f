"""boto3 clients for tests."""

from contextlib import closing
from typing import Any

import boto3


def client(url: str, key: str, region: str = "us-west-2") -> Any:
    """Yield a client of Bedrock Runtime, and close its connections."""
    return closing(
        boto3.client(
            "bedrock-runtime",
            endpoint_url=url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key="secret",
        )
    )
