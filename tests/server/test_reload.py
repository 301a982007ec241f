"""SIGHUP: keys and the TLS certificate of a running service are read again."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from invoke_api.authentication.credentials import AccessKey, ApiKey, Credentials
from invoke_api.server.reload import Changes, compare_keys
from tests.support.servers import COMMAND, ROOT, SEVEN_B, read_url
from tests.support.waiting import until

OLD, NEW = "ABSKb2xkb2xkb2xkb2xk", "ABSKbmV3bmV3bmV3bmV3"


def access(key_id: str, secret: str = "s") -> AccessKey:
    return AccessKey(access_key_id=key_id, secret_access_key=secret)


def test_keys_are_compared_by_id_or_value() -> None:
    before = Credentials(
        {"same": access("same"), "other": access("other"), "gone": access("gone")},
        (ApiKey(api_key=OLD), ApiKey(api_key="ABSK")),
    )
    after = Credentials(
        {"same": access("same"), "other": access("other", "changed"), "new": access("new")},
        (ApiKey(api_key=NEW), ApiKey(api_key="ABSK", operator=True)),
    )

    assert compare_keys(before, after) == Changes(added=2, removed=2, changed=2, unchanged=1)
    assert compare_keys(after, after) == Changes(0, 0, 0, 5)


class Running:
    """A service with its files, and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.keys, self.cert, self.key = (folder / each for each in ("k.json", "c.pem", "p.pem"))
        self.write_keys(OLD)
        self.write_certificate()

    def write_keys(self, key: str) -> None:
        self.keys.write_text(json.dumps({"api_keys": [{"api_key": key}]}))
        self.keys.chmod(0o600)

    def write_certificate(self) -> None:
        issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key)
        issued.cert_chain_pems[0].write_to_path(self.cert)

    @contextmanager
    def run(self, *more: str) -> Iterator[None]:
        files = ["--credentials", self.keys, "--tls-cert", self.cert, "--tls-key", self.key]
        command = [*COMMAND, "--engine", "scripted", "--model", SEVEN_B, "--auth", "bearer"]
        with self.log.open("w+") as log:
            self.process = subprocess.Popen(
                [*command, *map(str, files), *more], stderr=log, cwd=ROOT, start_new_session=True
            )
            try:
                url = read_url(self.process, log.fileno(), time.monotonic() + 60)
                self.port = int(url.split(" ")[0].rpartition(":")[2])
                yield
            finally:
                self.process.send_signal(signal.SIGINT)
                self.process.wait(timeout=60)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return context.wrap_socket(plain)

    def certificate(self) -> str:
        with self.connect() as connection:
            return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")

    def status(self, connection: ssl.SSLSocket, key: str) -> int:
        body = b'{"prompt": "Hi"}'
        head = (
            f"POST /model/{SEVEN_B}/invoke HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return int(connection.makefile("rb").readline().split()[1])

    def call(self, key: str) -> int:
        with self.connect() as connection:
            return self.status(connection, key)

    def hang_up(self, expected: str) -> None:
        """Send SIGHUP and wait for a line of the log."""
        before = self.log.read_text().count(expected)
        os.kill(self.process.pid, signal.SIGHUP)
        until(lambda: self.log.read_text().count(expected) > before, seconds=30)


def test_a_mistake_changes_nothing_and_a_correct_set_is_taken_up(tmp_path: Path) -> None:
    service = Running(tmp_path)
    with service.run():
        until(lambda: service.call(OLD) == 200, seconds=30)
        first = service.certificate()
        assert first == service.cert.read_text()

        service.write_certificate()  # correct, but the keys are not
        service.keys.write_text('{"api_keys": [\n{"api_key": 7}]}')
        service.hang_up(f"not reloaded, nothing has changed: {service.keys}:2")
        assert (service.certificate(), service.call(OLD)) == (first, 200)

        service.write_keys(NEW)  # correct, but the certificate is not
        good = service.cert.read_text()
        service.cert.write_text("no certificate")
        service.hang_up(f"not reloaded, nothing has changed: can't use {service.cert}")
        assert (service.certificate(), service.call(OLD), service.call(NEW)) == (first, 200, 403)

        service.cert.write_text(good)
        with service.connect() as opened_before:
            service.hang_up("reloaded: keys: 1 added, 1 removed, 0 changed, 0 unchanged;")
            assert service.certificate() == good != first
            assert (service.call(OLD), service.call(NEW)) == (403, 200)
            assert service.status(opened_before, NEW) == 200


@pytest.mark.slow
def test_several_workers_refuse_and_go_on(tmp_path: Path) -> None:
    service = Running(tmp_path)
    with service.run("--workers", "2"):
        until(lambda: service.call(OLD) == 200, seconds=30)
        service.write_keys(NEW)
        service.hang_up("not reloaded, nothing has changed: SIGHUP needs --workers 1")
        assert (service.call(OLD), service.call(NEW)) == (200, 403)
