"""Secrets and signatures of webhooks, as in Standard Webhooks: proof of the sender for the receiver.

A secret is derived, never stored. The holders of the installation's webhook key derive it from the names of workspace
and webhook and the count of its secrets: the gateway, which shows a secret once, and the service that delivers.
"""

import base64
import hashlib
import hmac

PREFIX = "whsec_"
HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_TAG = "moduprompt/webhook/v1"


def webhook_secret(key: bytes, workspace_id: str, webhook_id: str, generation: int) -> str:
    """The signing secret of a webhook, `whsec_` and base64: of its first generation 1, then one more each rotation."""
    about = f"{_TAG}\n{workspace_id}\n{webhook_id}\n{generation}"
    return PREFIX + base64.b64encode(hmac.digest(key, about.encode(), hashlib.sha256)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature, `v1,` and base64, of what is sent at a time in seconds since the Unix epoch."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
