"""The real service at the other end: where it is, and one call sent there."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from invoke_api.models.identifiers import PARTITIONS
from invoke_api.recording.signing import Signer, open_session

# The first step of the paths that belong to bedrock-runtime; all others are those of bedrock.
RUNTIME = {"model", "guardrail", "guardrail-checks", "async-invoke"}
DOMAINS = {"aws-cn": "amazonaws.com.cn"}
# Bedrock lets a model think for long before its first byte; the client's own time-out comes first.
TIMEOUT = httpx.Timeout(10, read=3600)
# A connection for each call: what a service sends behind the end of an answer would be read as the
# next one, and a recording is not to hold what belongs to another call.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """`url` None is AWS in the region of each call, unless `region` is one for all.

    `home` is the region of calls that name none.
    """

    client: httpx.AsyncClient
    signer: Signer
    url: str | None
    region: str | None
    home: str

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        region: str | None,
    ) -> AsyncIterator[httpx.Response]:
        """The answer, its body yet to be read. `path` is raw, with its query.

        Raises `httpx.HTTPError`, and botocore's errors where credentials can't be refreshed.
        """
        region = self.region or region or self.home
        url = self.base(path, region) + path
        # Fresh credentials may have to be asked for, over the network.
        signed = await asyncio.to_thread(self.signer.sign, method, url, headers, body, region)
        # Without the client's own default headers: what the app sent is what is recorded.
        request = httpx.Request(method, _to_url(url), headers=signed, content=body)
        response = await self.client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def base(self, path: str, region: str | None) -> str:
        """Scheme and host that a call of this path goes to."""
        region = self.region or region or self.home
        if self.url:
            return self.url.rstrip("/")
        service = "bedrock-runtime" if path.split("/")[1] in RUNTIME else "bedrock"
        domain = DOMAINS.get(PARTITIONS.get(region, "aws"), "amazonaws.com")
        return f"https://{service}.{region}.{domain}"


def _to_url(url: str) -> httpx.URL:
    """With the path as it is: its percent-encoding has been signed."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return httpx.URL(f"{parts.scheme}://{parts.netloc}").copy_with(raw_path=path.encode())


def open_upstream(*, url: str | None, region: str | None, profile: str | None) -> Upstream:
    """Its client is to be closed. Raises `NoCredentials`."""
    session = open_session(profile)
    signer = Signer(session)
    signer.check()
    client = httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS)
    home = session.get_config_variable("region") or "us-east-1"
    return Upstream(client, signer, url, region, home)
