"""Traces, only where a collector is named: a server span for each request, carried on into its command."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mpgateway.http import HttpRequest

EXPORT_SECONDS = 2
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Makes spans and sends them to the collector at `endpoint` (OTLP over HTTP)."""

    def __init__(self, endpoint: str, node: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": "mpgateway", "service.instance.id": node})
        self._provider = TracerProvider(resource=resource)
        exporter = exporter or OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("mpgateway")

    @contextmanager
    def span(self, operation: str, request: HttpRequest) -> Iterator[trace.Span]:
        """A span around a request. What is sent on names this span as its parent."""
        carrier = {"traceparent": request.headers.get(b"traceparent", b"").decode("ascii", "replace")}
        parent = _propagator.extract(carrier)
        with self._tracer.start_as_current_span(operation, parent, trace.SpanKind.SERVER) as span:
            outgoing: dict[str, str] = {}
            _propagator.inject(outgoing)
            request.headers[b"traceparent"] = outgoing["traceparent"].encode()
            yield span

    def close(self) -> None:
        """Send what is left, and stop."""
        self._provider.shutdown()
