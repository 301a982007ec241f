"""Sending of a case over HTTP/1.1 or HTTP/2, to a local service or to Bedrock."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fidelity.case import Case, Signer
from tests.support.http2 import Session

PROTOCOLS = ("http/1.1", "h2")
REMOTE = os.environ.get("BEDROCK_REMOTE") == "1"


@dataclass(frozen=True)
class Answer:
    """An answer. `headers` are in their original order and spelling. HTTP/2 has no `reason`."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str | None = None

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Auth(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """A botocore signer with a settable clock, which can leave out the payload."""

    def __init__(self, credentials: Any, region: str, signer: Signer) -> None:
        super().__init__(credentials, signer.service, region)
        self._signer = signer

    def _modify_request_before_signing(self, request: Any) -> None:
        moment = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ")  # noqa: DTZ007
        request.context["timestamp"] = f"{moment + self._signer.skew:%Y%m%dT%H%M%SZ}"
        super()._modify_request_before_signing(request)

    def payload(self, request: Any) -> str:
        if self._signer.unsigned_payload:
            return "UNSIGNED-PAYLOAD"
        payload: str = super().payload(request)
        return payload


def url_of(case: Case, url: str) -> str:
    if not REMOTE:
        return url
    named = os.environ.get(f"AWS_ENDPOINT_URL_{case.endpoint.replace('-', '_').upper()}")
    return named or f"https://{case.endpoint}.{case.region}.amazonaws.com"


def send(wire: "Wire", case: Case, operation: str, url: str, protocol: str) -> Answer:
    url = url_of(case, url)
    path, body = case.raw_path(operation), case.raw_body()
    headers = dict(case.headers)
    if case.signer:
        headers = signed(case.signer, case, url + path, body)
        body = body if case.signer.body_after is None else case.signer.body_after
    ask = wire.http2 if protocol == "h2" else wire.http1
    return ask(url, case.method, path, headers, body)


def signed(signer: Signer, case: Case, url: str, body: bytes) -> dict[str, str]:
    """Return all headers of the request, signed and then changed as the case says."""
    keys = Credentials(signer.access_key_id, signer.secret, signer.token)
    if REMOTE:
        keys = botocore.session.get_session().get_credentials()
    headers = dict(case.headers)
    if signer.unsigned_payload:
        headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    request = AWSRequest(case.method, url, data=body, headers=headers)
    Auth(keys, case.region, signer).add_auth(request)
    final = dict(request.headers.items())
    for name, value in signer.headers_after.items():
        final.pop(name, None)
        if value is not None:
            final[name] = value
    return final


class Wire:
    """The open connections, one for each service and version of HTTP, reused between rows."""

    def __init__(self) -> None:
        self._http1: dict[str, HTTPConnection] = {}
        self._http2: dict[str, Session] = {}

    def http1(
        self, url: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        address = urlsplit(url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = self._http1.setdefault(url, kind(address.netloc, timeout=30))
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            raw = response.read()
            return Answer(response.status, response.getheaders(), raw, response.reason)
        except BaseException:
            connection.close()  # the next row reopens it
            raise

    def http2(
        self, url: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if url not in self._http2 or not self._http2[url].is_open:
            self._http2[url] = Session(url)
        session = self._http2[url]
        try:
            [(_, status), *pairs], raw = session.ask(method, path, headers.items(), body)
        except BaseException:
            session.close()
            raise
        return Answer(int(status), pairs, raw)

    def close(self) -> None:
        for first in self._http1.values():
            first.close()
        for second in self._http2.values():
            second.close()
