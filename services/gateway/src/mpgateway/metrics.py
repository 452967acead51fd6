"""The figures of the gateway, for Prometheus. Labels come from the registry, never from a request."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("mp_gateway_requests", "Requests by operation and status.", ["operation", "status"])
SECONDS = Histogram(
    "mp_gateway_request_seconds",
    "Time from a request's headers to its answer.",
    ["operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BATCH_LINES = Counter("mp_gateway_batch_lines", "Commands in batches, by what became of them.", ["code"])
RATE_LIMITED = Counter("mp_gateway_rate_limited", "Requests refused by a rate limit.")
CONNECTIONS_CUT = Counter(
    "mp_gateway_connections_cut",
    "Connections cut off, by reason: late, unread, unfinished, talkative, too_many.",
    ["reason"],
)
TURNED_AWAY = Counter("mp_gateway_turned_away", "Requests of who has no business where they went, by why.", ["why"])
STREAMS = Gauge("mp_gateway_streams", "Event streams open now.", ["transport"])
STREAMS_ENDED = Counter("mp_gateway_streams_ended", "Event streams ended, by reason (slow: fell behind).", ["reason"])
STREAM_EVENTS = Counter("mp_gateway_stream_events", "Events sent to clients of event streams.", ["transport"])
IN_FLIGHT = Gauge("mp_gateway_commands_in_flight", "Commands that wait for their outcome here.")
TAIL_POSITION = Gauge("mp_gateway_tail_position", "The last event read from the log.")


READ_MODEL_LAG = Gauge(
    "mp_gateway_read_model_lag_events", "Events of the log that what serves has not folded yet.", ["projection"]
)
READ_MODEL_FOLDED = Gauge(
    "mp_gateway_read_model_folded", "1 while a projector folds what serves; 0: unowned or halted.", ["projection"]
)


class OperationMetrics:
    """The figures of one operation, with their labels bound once."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._seconds = SECONDS.labels(operation)
        self._by_status: dict[int, Counter] = {}

    def observe(self, status: int, seconds: float) -> None:
        """Count one request."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = REQUESTS.labels(self._operation, str(status))
        counter.inc()
        self._seconds.observe(seconds)
