"""`httpx.get(url, auth=SessionAuth(session))`: each request signed with a fresh credential."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import httpx

from ._covering import covers_body, sign
from ._session import Session


class SessionAuth(httpx.Auth):
    """Signs requests of the `httpx` library; one that is refused with 401 is sent once more, newly signed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # A pause between two requests may be longer than a token lives.
        session.hold()

    def _sign(self, request: httpx.Request) -> int:
        cover = covers_body(request.method, str(request.url))
        return sign(
            self.session, request.method, str(request.url), request.headers, request.content if cover else None
        ).generation

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Signs, sends, and signs again after a refusal."""
        if covers_body(request.method, str(request.url)):
            request.read()
        generation = self._sign(request)
        response = yield request
        if response.status_code == 401:
            self.session.reject(generation)
            self._sign(request)
            yield request
        else:
            self.session.accept(generation)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same without blocking the loop."""
        if covers_body(request.method, str(request.url)):
            await request.aread()
        generation = await asyncio.to_thread(self._sign, request)
        response = yield request
        if response.status_code == 401:
            self.session.reject(generation)
            await asyncio.to_thread(self._sign, request)
            yield request
        else:
            self.session.accept(generation)
