"""Who may talk to the review's server: the browser of the person who started it, and pages of its own.

A page of a foreign site can make a browser send requests to loopback, and with a name of its own that it lets point
there (DNS rebinding) it can read the answers. So the host must be named as loopback; whoever comes must bring the key
that the printed address holds, which then stays with the browser as a cookie that no other site's request carries
along; and what changes anything must besides say the token that stands in our pages.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
TOKEN_HEADER = "x-review-token"
MOST_BODY_BYTES = 1 << 16
_KEY = "key"
_POLICY = (
    "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """The address of one server, and the secrets that it was started with."""

    port: int
    access: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """Whoever opens the page for the first time brings this with the address."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """Stands in our pages; every request that changes something says it."""

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser may call this server."""
        return frozenset(f"{name}:{self.port}" for name in (LOOPBACK, "localhost"))

    @property
    def cookie(self) -> str:
        """Browsers do not tell ports apart where cookies are concerned."""
        return f"archive-colorizer-review-{self.port}"

    @property
    def address(self) -> str:
        """For the browser, with the key."""
        return f"http://{LOOPBACK}:{self.port}/?{urlencode({_KEY: self.access})}"


class Guard:
    """Lets through what may pass (see the top of this file), and adds the headers that keep a browser strict."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no web sockets here

        async def send_strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, send_strict)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to what may not pass, or to who comes with the key; None: the application answers."""
        headers = Headers(scope=scope)
        changes = scope["method"] not in ("GET", "HEAD")
        if headers.get("host", "").lower() not in self._keys.hosts:
            return _refused("this server answers only to the address that it printed", 421, changes)
        origin = headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self._keys.hosts:
            return _refused("requests from other sites are refused", 403, changes)
        brought = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if _KEY in brought and not changes and _same(brought[_KEY], self._keys.access):
            return self._welcome(scope["path"], {name: value for name, value in brought.items() if name != _KEY})
        if not _same(_cookie(headers, self._keys.cookie), self._keys.access):
            return _refused("open the whole address that the command printed, with its key", 403, changes)
        if changes and not _same(headers.get(TOKEN_HEADER, ""), self._keys.token):
            return _refused("the page is of an earlier server; load it again", 403, changes)
        if changes and not _is_short(headers):
            return _refused("this request is too long", 413, changes)
        return None

    def _welcome(self, path: str, query: Mapping[str, str]) -> Response:
        """On to the same page without the key, which stays out of the history and of what is copied around."""
        # A path of two slashes would lead to another host.
        target = "/" + path.lstrip("/") + (f"?{urlencode(query)}" if query else "")
        answer = RedirectResponse(target, 303)
        answer.set_cookie(self._keys.cookie, self._keys.access, httponly=True, samesite="strict", path="/")
        return answer


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_short(headers: Headers) -> bool:
    length = headers.get("content-length", "0" if "transfer-encoding" not in headers else "")
    return length.isdecimal() and len(length) < 10 and int(length) <= MOST_BODY_BYTES


def _refused(why: str, status: int, changes: bool) -> Response:
    if changes:
        return JSONResponse({"error": why}, status)
    return HTMLResponse(f"<!DOCTYPE html><title>Archive Colorizer</title><p>Refused: {why}.</p>", status)
