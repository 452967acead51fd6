"""Where webhooks may go: to public addresses over https, unless the installation lets them go anywhere.

A tenant chooses the endpoint, and we stand inside the network: without this a webhook would be a way to everything
that trusts its neighbours. The name is looked up at each request, every address it has must be public, and the request
goes to the very address that was looked at.
"""

import asyncio
import socket

import httpx
from mpschema.networks import special


class Forbidden(Exception):
    """Nothing may be sent there, and asking again does not change it."""


class PublicTransport(httpx.AsyncBaseTransport):
    """Sends through another transport what goes to public addresses over https. Raises `Forbidden` for the rest."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, to an address that is public now. The certificate is checked against the name."""
        if request.url.scheme != "https":
            raise Forbidden("the endpoint is not https")
        host = request.url.host
        address = await _public_address(host, request.url.port or 443)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._inner.aclose()


async def _public_address(host: str, port: int) -> str:
    """One address of the host. Raises `Forbidden` where any of them is not public, `httpx.ConnectError` for none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"the name {host} is not known") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if known := special(address):
            raise Forbidden(f"the endpoint's address {address} is not public: it is {known.purpose}")
    return addresses[0]
