"""The names of the services' users, as tests say them."""

GATEWAY, KERNEL, PROJECTOR, RELAY, WEBHOOKS = "gateway", "kernel", "projector", "relay", "webhooks"
