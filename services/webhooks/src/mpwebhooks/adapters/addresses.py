"""The permitted targets of webhooks: public addresses over https, unless the installation permits all.

A tenant chooses the endpoint, and we stand inside the network: without this a webhook would be a way to everything
that trusts its neighbours. The name is looked up at each request, every address it has must be public, and the request
goes to the very address that was looked at.
"""

import httpx
from mpschema.networks import special

from mpwebhooks.adapters.names import Names


class Forbidden(Exception):
    """Nothing may be sent there, and asking again does not change it."""


class AddressedTransport(httpx.AsyncBaseTransport):
    """Looks names up for one workspace, and sends to the addresses that were found, one after the other.

    Raises `Forbidden` for what is not public over https, unless `allow_private`.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, names: Names, workspace_id: str, *, allow_private: bool
    ) -> None:
        self._inner = inner
        self._names = names
        self._workspace_id = workspace_id
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, to an address that may be sent to now. The certificate is checked against the name."""
        if not self._allow_private and request.url.scheme != "https":
            raise Forbidden("the endpoint is not https")
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._names.addresses(self._workspace_id, host, port)
        if not self._allow_private:
            _all_public(addresses)
        request.extensions = {**request.extensions, "sni_hostname": host}
        *others, last = addresses
        for address in others:
            try:
                return await self._send(request, address)
            except httpx.ConnectError:  # Nothing was sent. A name may have an address that nobody listens on.
                continue
        return await self._send(request, last)

    async def _send(self, request: httpx.Request, address: str) -> httpx.Response:
        request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the other transport."""
        await self._inner.aclose()


def _all_public(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        if known := special(address):
            raise Forbidden(f"the endpoint's address {address} is not public: it is {known.purpose}")
