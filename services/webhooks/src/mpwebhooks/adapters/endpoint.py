"""Sends a message to an endpoint as Standard Webhooks has it: signed, timestamped, with an id to tell repeats by."""

import asyncio
import email.utils
import ssl
import time
from http import HTTPStatus

import httpx
from mpschema.cloudevents import MEDIA_TYPE
from mpschema.signing import HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, signature, webhook_secret

from mpwebhooks.adapters.addresses import AddressedTransport, Forbidden
from mpwebhooks.adapters.names import Names
from mpwebhooks.ports import DeliveryResult, Message, WebhookSubscription

ANSWER_BYTES_MAX = 64 * 1024
_DELIVERED = DeliveryResult(delivered=True)


class EndpointSender:
    """`ports.Sender` with connections of its own: what one tenant's endpoint was found to be holds for no other."""

    def __init__(
        self,
        key: bytes,
        trust: ssl.SSLContext,
        names: Names,
        workspace_id: str,
        *,
        timeout_seconds: float,
        connections: int,
        allow_private: bool,
    ) -> None:
        self._key = key
        self._timeout_seconds = timeout_seconds
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        plain = httpx.AsyncHTTPTransport(verify=trust, limits=limits, trust_env=False)
        self._client = httpx.AsyncClient(
            transport=AddressedTransport(plain, names, workspace_id, allow_private=allow_private),
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            headers={"user-agent": "ModuPrompt-Webhooks/1", "accept": "*/*", "content-type": MEDIA_TYPE},
        )

    async def send(self, webhook: WebhookSubscription, message: Message) -> DeliveryResult:
        """See `ports.Sender`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(webhook, message)
        except Forbidden as error:
            return DeliveryResult(delivered=False, reason=str(error), final=True)
        except httpx.ConnectTimeout as error:
            return DeliveryResult(delivered=False, reason=f"the receiver cannot be reached: {error}"[:500])
        except (TimeoutError, httpx.TimeoutException):
            return DeliveryResult(
                delivered=False, reason=f"the receiver did not answer within {self._timeout_seconds:g} s"
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            return DeliveryResult(
                delivered=False, reason=f"the receiver cannot be reached: {type(error).__name__}: {error}"[:500]
            )

    async def close(self) -> None:
        """See `ports.Sender`."""
        await self._client.aclose()

    async def _send(self, webhook: WebhookSubscription, message: Message) -> DeliveryResult:
        headers = self._signed(webhook, message, int(time.time()))
        async with self._client.stream("POST", webhook.endpoint, content=message.body, headers=headers) as response:
            if response.is_success:
                await _read(response)
                return _DELIVERED
            status = response.status_code
            if status == HTTPStatus.GONE:
                return DeliveryResult(delivered=False, reason="the receiver answered 410: it is gone", final=True)
            told = " with a redirect, which is not followed" if response.is_redirect else ""
            wanted = _retry_after(response.headers.get("retry-after", ""))
            await _read(response)
        return DeliveryResult(delivered=False, reason=f"the receiver answered {status}{told}", retry_after=wanted)

    def _signed(self, webhook: WebhookSubscription, message: Message, now: int) -> dict[str, str]:
        generations = [webhook.generation]
        if webhook.previous_until is not None and webhook.previous_until > now:
            generations.append(webhook.generation - 1)
        signatures = [
            signature(webhook_secret(self._key, *webhook.name, generation), message.id, now, message.body)
            for generation in generations
        ]
        return {HEADER_ID: message.id, HEADER_TIMESTAMP: str(now), HEADER_SIGNATURE: " ".join(signatures)}


async def _read(response: httpx.Response) -> None:
    """Read the answer, so that the connection serves again; of one that is too long the rest is not read."""
    taken = 0
    async for piece in response.aiter_raw():
        taken += len(piece)
        if taken > ANSWER_BYTES_MAX:
            return


def _retry_after(value: str) -> float | None:
    """Seconds, from a number of them or a date."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
