"""Traces: a span for each request where a collector is named, and the trace goes on into the event either way."""

from __future__ import annotations

from mpgateway.http import HttpRequest
from mpgateway.tracing import Tracing
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def _nothing() -> None:
    """A body nobody reads."""


def _request(*headers: tuple[bytes, bytes]) -> HttpRequest:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers), "path_params": {}}
    request = HttpRequest(scope, _nothing, 0.0)
    request.read_headers()
    return request


def test_a_request_becomes_a_span_below_its_callers() -> None:
    spans = InMemorySpanExporter()
    tracing = Tracing("", "gateway-1", spans)
    request = _request((b"traceparent", PARENT.encode()))
    with tracing.span("task.create", request):
        outgoing = request.header(b"traceparent")
    tracing.close()
    (span,) = spans.get_finished_spans()
    assert span.name == "task.create"
    assert span.parent is not None
    assert format(span.parent.span_id, "016x") == PARENT.split("-")[2]
    assert outgoing.split("-")[1] == PARENT.split("-")[1]
    assert outgoing.split("-")[2] == format(span.context.span_id, "016x")


def test_a_request_without_a_trace_begins_one() -> None:
    spans = InMemorySpanExporter()
    tracing = Tracing("", "gateway-1", spans)
    request = _request()
    with tracing.span("task.create", request):
        assert request.header(b"traceparent").startswith("00-")
    tracing.close()
    assert spans.get_finished_spans()[0].parent is None
