"""An OTLP receiver on real sockets, over gRPC and over HTTP: what a collector is to the services."""

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER = (
    *(Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CONSUMER, Span.SPAN_KIND_INTERNAL),
    *(Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_SERVER),
)


@dataclass(frozen=True, slots=True)
class Received:
    """One span as it came: from whom, and how."""

    service: str
    protocol: str
    span: Span

    @property
    def name(self) -> str:
        return str(self.span.name)

    @property
    def trace_id(self) -> str:
        return str(self.span.trace_id.hex())

    @property
    def failed(self) -> bool:
        return bool(self.span.status.code == Status.STATUS_CODE_ERROR)

    @property
    def attributes(self) -> dict[str, Any]:
        return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in self.span.attributes}


class Collector:
    """Keeps all that it is sent."""

    def __init__(self, http_url: str, grpc_url: str) -> None:
        self.http_url = http_url
        self.grpc_url = grpc_url
        self.spans: list[Received] = []

    def take(self, request: ExportTraceServiceRequest, protocol: str) -> None:
        for lot in request.resource_spans:
            said = {each.key: each.value.string_value for each in lot.resource.attributes}
            for scope in lot.scope_spans:
                self.spans += [Received(said["service.name"], protocol, span) for span in scope.spans]

    def trace(self, trace_id: str) -> list[Received]:
        """Its spans, in the order of their beginnings."""
        found = [received for received in list(self.spans) if received.trace_id == trace_id]
        return sorted(found, key=lambda received: received.span.start_time_unix_nano)


@contextmanager
def a_collector() -> Iterator[Collector]:
    """Listening on a port of its own for each protocol."""

    class OverHttp(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            is_known = (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            if is_known:
                collector.take(ExportTraceServiceRequest.FromString(body), "http/protobuf")
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_known else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    class OverGrpc(TraceServiceServicer):
        def Export(self, request: ExportTraceServiceRequest, context: object) -> ExportTraceServiceResponse:  # noqa: N802
            collector.take(request, "grpc")
            return ExportTraceServiceResponse()

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), OverHttp)
    http_server.daemon_threads = True
    grpc_server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(OverGrpc(), grpc_server)  # type: ignore[no-untyped-call]
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    collector = Collector(f"http://127.0.0.1:{http_server.server_port}", f"http://127.0.0.1:{grpc_port}")
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    grpc_server.start()
    try:
        yield collector
    finally:
        http_server.shutdown()
        http_server.server_close()
        grpc_server.stop(None).wait()
