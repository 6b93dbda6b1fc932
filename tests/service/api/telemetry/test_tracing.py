"""Spans of requests: where the time went, in the trace that the caller names; nothing of what was asked."""

from __future__ import annotations

import asyncio
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from softkv_service.api.json import NDJSON
from softkv_service.api.telemetry import Tracing
from tests.running import RunningService

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
TEXT = "unmistakable words"


async def work_within(request: Request) -> JSONResponse:
    """Return the active span of a request, as its function, a thread and a library see it."""

    def active() -> str:
        return f"{trace.get_current_span().get_span_context().trace_id:032x}"

    with TracerProvider().get_tracer("library").start_as_current_span("query"):
        library = active()
    return JSONResponse([active(), await asyncio.to_thread(active), library])


class Spans:
    """The spans that a service with tracing has sent so far."""

    def __init__(self, running: RunningService, client: httpx.Client, tracing: Tracing, exporter: InMemorySpanExporter):
        self.running, self.client, self._tracing, self._exporter = running, client, tracing, exporter

    def of(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a request of this name: its own first, then those of its stages."""
        deadline = time.monotonic() + 60
        while not (matching := [span for span in self.finished() if span.name == name]):
            assert time.monotonic() < deadline, name  # it ends a moment after its answer
            time.sleep(0.01)
        finished, matching = self.finished(), matching[0]
        within = [span for span in finished if span.parent and span.parent.span_id == matching.context.span_id]
        return [matching, *sorted(within, key=lambda span: span.start_time)]

    def finished(self) -> Sequence[ReadableSpan]:
        self._tracing._provider.force_flush()
        return self._exporter.get_finished_spans()

    def everything(self) -> str:
        return "\n".join(span.to_json() for span in self.finished())


@pytest.fixture(scope="module")
def spans(tmp_path_factory) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    tracing = Tracing(exporter)
    folder = tmp_path_factory.mktemp("traced")
    running = RunningService(data_dir=folder, api_keys=("secret-key",), tracing=tracing)
    running.app.router.routes.insert(0, Route("/within", work_within))
    with running, running.client(headers={"x-api-key": "secret-key"}) as client:
        running.wait_until_ready()
        client.put("/v1/collections/c", json={"late": False})
        client.put(f"/v1/collections/c/documents/{TEXT}", json={"key": TEXT, "value": TEXT})
        yield Spans(running, client, tracing, exporter)


def test_a_question_has_a_span_in_the_trace_of_its_caller_and_one_of_each_stage(spans):
    response = spans.client.post("/v1/collections/c/attend", json={"query": f"{TEXT} asked"}, headers=PARENT)
    request_span, *within = spans.of("POST /v1/collections/{name}/attend")
    assert (request_span.kind, f"{request_span.context.trace_id:032x}", f"{request_span.parent.span_id:016x}") == (
        SpanKind.SERVER,
        TRACE,
        PARENT["traceparent"].split("-")[2],
    )
    assert dict(request_span.attributes) == {
        "http.request.method": "POST",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
        "http.route": "/v1/collections/{name}/attend",
        "http.response.status_code": 200,
        "softkv.request_id": response.headers["x-request-id"],
        "softkv.key": "API_KEYS#1",
        "softkv.collection": "c",
        "softkv.documents": 1,
    }
    assert [span.name for span in within] == ["wait for encode", "encode", "wait for scan", "scan", "finish"]
    assert all(request_span.start_time <= span.start_time <= span.end_time <= request_span.end_time for span in within)
    assert {span.attributes["softkv.times"] for span in within} == {1}
    took = sum(span.end_time - span.start_time for span in within)
    assert took <= request_span.end_time - request_span.start_time
    assert request_span.resource.attributes["service.name"] == "softkv"


def test_a_span_is_active_during_a_request(spans):
    assert spans.client.get("/within", headers=PARENT).json() == [TRACE] * 3


def test_a_request_that_its_caller_does_not_sample_has_no_span(spans):
    unsampled = PARENT["traceparent"][:-1] + "0"
    spans.client.get("/v1/collections", headers={"traceparent": unsampled})
    spans.client.get("/v1/models")
    spans.of("GET /v1/models")
    assert not [span for span in spans.finished() if span.name == "GET /v1/collections"]


def test_an_answer_in_parts_has_its_attributes(spans):
    with spans.client.stream("POST", "/v1/encode", json={"texts": [TEXT]}, headers={"accept": NDJSON}) as answer:
        answer.read()
    span, *_ = spans.of("POST /v1/encode")
    assert span.attributes["softkv.request_id"] == answer.headers["x-request-id"]
    assert span.attributes["http.response.status_code"] == 200


def test_a_write_has_the_time_of_its_transaction(spans):
    spans.client.put("/v1/collections/c/documents/b", json={"key": "b"})
    names = [span.name for span in spans.of("PUT /v1/collections/{name}/documents/{id}")[1:]]
    assert "storage" in names
    assert "encode" in names


def test_a_refusal_says_its_code_and_only_a_failure_is_an_error(spans):
    spans.client.post("/v1/collections/none/attend", json={"query": TEXT})
    spans.client.get("/v1/models/none")
    (span,) = spans.of("GET /v1/models/{id}")
    assert span.attributes["softkv.code"] == "model_not_found"
    assert span.status.status_code is StatusCode.UNSET


def test_probes_have_none(spans):
    for path in ("/livez", "/readyz", "/metrics", "/"):
        spans.client.get(path)
    assert "/livez" not in spans.everything()
    assert "/metrics" not in spans.everything()


def test_no_span_has_a_text_a_key_an_id_or_a_query(spans):
    client = spans.client
    client.get(f"/v1/collections/c/documents/{TEXT}", params={"include": TEXT})
    client.post("/v1/encode", json={"texts": [TEXT], TEXT: TEXT})
    client.get(f"/v1/collections/{TEXT}", headers={"x-api-key": f"wrong {TEXT}", "user-agent": TEXT, "cookie": TEXT})
    client.request(f"M-{TEXT.split()[0]}", f"/{TEXT}")
    everything = spans.everything()
    assert "documents/{id}" in everything
    for secret in (TEXT.split()[0], "secret-key", "url.path", "url.query", "server.address"):
        assert secret not in everything


def test_fastapi_sends_nothing_of_its_own(tmp_path, monkeypatch):
    """A provider that another part of the program has set gets no spans of this service."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    with RunningService(data_dir=tmp_path, encoder="none") as running, running.client() as client:
        assert running.app._native_telemetry.enabled() is False
        client.post("/v1/encode", json={"texts": [{TEXT: TEXT}]})
    assert exporter.get_finished_spans() == ()


def test_spans_go_to_the_configured_collector(tmp_path):
    came: list[tuple[str, bytes]] = []
    arrived = threading.Event()

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.server_port}"
        try:
            with (
                RunningService(data_dir=tmp_path, encoder="none", traces="otlp") as running,
                running.client() as client,
            ):
                client.put("/v1/collections/c", json={})
        finally:
            del os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
        assert arrived.wait(60)  # the end of the service sends what waits
        collector.shutdown()
    assert {path for path, _ in came} == {"/v1/traces"}
    assert b"PUT /v1/collections/{name}" in b"".join(body for _, body in came)


def test_without_its_packages_tracing_names_the_install_command(tmp_path):
    code = (
        "import sys; sys.modules['opentelemetry.exporter.otlp.proto.http.trace_exporter'] = None; "
        "from softkv.scripts import softkv; softkv()"
    )
    arguments = ["serve", "--traces", "otlp", "--encoder", "none", "--port", "0", "--data-dir", str(tmp_path)]
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "pip install opentelemetry-sdk" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_traces_the_packages_are_not_imported():
    modules = "[name for name in sys.modules if name.startswith('opentelemetry.sdk')]"
    code = f"import sys, softkv_service.app; print({modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
