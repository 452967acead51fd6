"""The metrics of deliveries. No label names a tenant: the API reports on a single webhook."""

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter("mp_webhooks_deliveries_total", "Attempts to deliver an event, by result.", ["result"])
SECONDS = Histogram(
    "mp_webhooks_delivery_seconds",
    "Time of one attempt, from the request to the end of the answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LANES = Gauge("mp_webhooks_lanes", "Webhooks delivered by this worker.")
WAITING = Gauge("mp_webhooks_waiting_keys", "Keys that are tried again by themselves, of this worker's webhooks.")
PARKED = Gauge("mp_webhooks_parked_keys", "Keys that are parked, of this worker's webhooks.")
LAG = Gauge("mp_webhooks_lag_events", "How far the webhook furthest behind is behind the archive.")
HALTED = Gauge("mp_webhooks_halted", "Webhooks of this worker that cannot go on: their log line says why.")
