"""Which requests are answered: those of who has the token, from the page itself.

A page on another site can make a browser send requests to this machine, and a name on the internet
can be made to point to it. So a request needs the token, which was printed once; its ``Host`` is an
address, no name that somebody else may own; and where the browser says what page a request comes
from, it is this one.
"""

from __future__ import annotations

import ipaddress
import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

#: Of every answer: nothing is kept, guessed, framed or embedded elsewhere.
HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
#: What an answer may load unless it says otherwise.
POLICY = "default-src 'none'; frame-ancestors 'none'"
READING = ("GET", "HEAD")


class Guard:
    """Middleware that refuses what does not come from the page.

    Parameters
    ----------
    app : ASGI application
        What answers the rest.
    token : str
        Who has it may do everything.
    cookie : str
        The name of the cookie that holds it, once it was in an address.
    host : str
        The name of this machine, besides all addresses, that requests may be for.
    """

    def __init__(self, app: ASGIApp, token: str, cookie: str, host: str) -> None:
        self._app = app
        self._token, self._cookie = token, cookie
        self._hosts = {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            return
        connection = HTTPConnection(scope)
        entering = scope["path"] == "/" and self._is_token(connection.query_params.get("token"))
        refusal = self._refusal(connection, entering)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", POLICY)
                if entering and refusal is None:
                    cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                    headers.append("set-cookie", cookie)
            await send(message)

        if refusal is None:
            await self._app(scope, receive, marked)
        else:
            await PlainTextResponse(refusal, HTTPStatus.FORBIDDEN)(scope, receive, marked)

    def _refusal(self, connection: HTTPConnection, entering: bool) -> str | None:
        """Say why a request is refused, if it is."""
        headers = connection.headers
        host = headers.get("host", "")
        if not self._is_ours(host):
            return "audiocli serve: open it by the address that it printed, not by another name"
        origin = headers.get("origin")
        reading = connection.scope["method"] in READING
        if not reading and origin not in (None, f"{connection.scope['scheme']}://{host}"):
            return "audiocli serve: this request comes from another page"
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not (reading and entering):
            return "audiocli serve: this request comes from another site"
        kind, _, given = headers.get("authorization", "").partition(" ")
        bearer = given if kind.lower() == "bearer" else None
        tokens = (bearer, connection.cookies.get(self._cookie))
        if not (entering or any(map(self._is_token, tokens))):
            return "audiocli serve: open the address that it printed, with the token in it"
        return None

    def _is_token(self, given: str | None) -> bool:
        """Compare in a time that does not tell how much is right."""
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._hosts:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
