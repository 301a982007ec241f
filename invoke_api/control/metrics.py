"""`/metrics`, which Prometheus scrapes."""

import gzip

from prometheus_client.exposition import gzip_accepted
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.pipeline.services import services_of


async def metrics(request: Request, _: bytes) -> Response:
    """Return the metrics in the format and encoding that the headers ask for."""
    headers = request.headers
    body, content_type = await services_of(request).metrics.render(headers.get("accept", ""))
    more = {"content-type": content_type}
    if gzip_accepted(headers.get("accept-encoding", "")):
        more["content-encoding"] = "gzip"
        body = gzip.compress(body, compresslevel=1)
    return Response(body, headers=more)
