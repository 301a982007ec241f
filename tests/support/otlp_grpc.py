"""A receiver of OTLP over gRPC.

usage: python -m tests.support.otlp_grpc FOLDER
A file of FOLDER has the bytes of each export. The process prints its port. It is a process of its
own, because gRPC's threads do not survive the forks of other tests.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


def main(folder: Path) -> None:
    numbers = count()

    def export(raw: bytes, _: Any) -> ExportTraceServiceResponse:
        (folder / "part").write_bytes(raw)
        (folder / "part").rename(folder / f"{next(numbers)}.export")
        return ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export, response_serializer=ExportTraceServiceResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE, {"Export": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until the test closes it
    server.stop(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
