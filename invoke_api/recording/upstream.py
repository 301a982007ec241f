"""The upstream service of the recorder: its URLs, and requests to it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from invoke_api.models.identifiers import PARTITIONS
from invoke_api.recording.signing import Signer, open_session


class AwsService(NamedTuple):
    """A service of AWS: its host, in a domain of the region, and its name in signatures."""

    host: str
    signing_name: str = "bedrock"
    domain: str | None = None  # instead of the partition's


BEDROCK = AwsService("bedrock.{region}")
RUNTIME = AwsService("bedrock-runtime.{region}")
MANTLE = AwsService("bedrock-mantle.{region}", domain="api.aws")
ENDPOINTS = AwsService("runtime.sagemaker.{region}", "sagemaker")
# By the first segment of a path. All other paths belong to bedrock.
SERVICES = {
    **dict.fromkeys(("model", "guardrail", "guardrail-checks", "async-invoke", "openai"), RUNTIME),
    **dict.fromkeys(("v1", "anthropic"), MANTLE),
    "endpoints": ENDPOINTS,
}
DOMAINS = {"aws-cn": "amazonaws.com.cn"}
# A model may take long until its first byte. The timeout of the client applies before this one.
TIMEOUTS = httpx.Timeout(10, read=3600)
# Each call has its own connection: stray bytes after an answer would otherwise become part of the
# next recording.
CONNECTION_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=0)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The upstream service: the server at `url`, or AWS if `url` is None.

    `region` overrides the region of each call. `home` is the region of calls that name none.
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
        """Send a request and yield the response before its body. `path` is raw, with the query.

        Raises `httpx.HTTPError`, and botocore's errors if credentials can't be refreshed.
        """
        region = self.region or region or self.home
        url = self.base(path, region) + path
        # In a thread, because credentials may be refreshed over the network.
        sign = partial(self.signer.sign, service=_service(path).signing_name)
        signed = await asyncio.to_thread(sign, method, url, headers, body, region)
        # Built here, because the client would add default headers that the app did not send.
        request = httpx.Request(method, _to_url(url), headers=signed, content=body)
        response = await self.client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def base(self, path: str, region: str | None) -> str:
        """Return the scheme and host for a path."""
        region = self.region or region or self.home
        if self.url:
            return self.url.rstrip("/")
        service = _service(path)
        domain = service.domain or DOMAINS.get(PARTITIONS.get(region, "aws"), "amazonaws.com")
        return f"https://{service.host.format(region=region)}.{domain}"


def _service(path: str) -> AwsService:
    return SERVICES.get(path.split("/")[1], BEDROCK)


def _to_url(url: str) -> httpx.URL:
    """Return the URL with an unchanged path, because its percent-encoding was signed."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return httpx.URL(f"{parts.scheme}://{parts.netloc}").copy_with(raw_path=path.encode())


def open_upstream(*, url: str | None, region: str | None, profile: str | None) -> Upstream:
    """Return the upstream; close its client in the end. Raises `NoCredentials`."""
    session = open_session(profile)
    signer = Signer(session)
    signer.check()
    client = httpx.AsyncClient(timeout=TIMEOUTS, limits=CONNECTION_LIMITS)
    home = session.get_config_variable("region") or "us-east-1"
    return Upstream(client, signer, url, region, home)
