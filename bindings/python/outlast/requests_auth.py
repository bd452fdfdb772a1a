"""`requests.get(url, auth=SessionAuth(session))`: each request signed with a fresh credential."""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import AuthBase

from ._covering import covers_body, sign
from ._session import Session


class SessionAuth(AuthBase):
    """Signs requests of the `requests` library; one that is refused with 401 is sent once more, newly signed."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # A pause between two requests may be longer than a token lives.
        session.hold()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return prepare(self.session, request, covers_body(request.method or "GET", request.url or ""))


def prepare(session: Session, request: requests.PreparedRequest, cover: bool) -> requests.PreparedRequest:
    """Signs a request and sees to it that a refusal is answered."""
    body: Any = request.body
    position = None
    if not cover and hasattr(body, "seek") and hasattr(body, "tell"):
        position = body.tell()

    def attach() -> int:
        covered = _bytes(request.body) if cover else None
        if covered is not None:
            request.headers["content-length"] = str(len(covered))
        return sign(session, request.method or "GET", request.url or "", request.headers, covered).generation

    generation = attach()

    def answered(response: requests.Response, **options: Any) -> requests.Response:
        nonlocal generation
        if response.status_code != 401:
            session.accept(generation)
            return response
        session.reject(generation)
        again = getattr(response.request, "_outlast_again", False)
        rewindable = position is not None or body is None or isinstance(body, (bytes, str))
        if again or not rewindable:
            return response
        response.content  # frees the connection  # noqa: B018
        response.close()
        if position is not None:
            body.seek(position)
        request._outlast_again = True  # type: ignore[attr-defined]
        generation = attach()
        second: requests.Response = response.connection.send(request, **options)
        second.history.append(response)
        second.request = request
        return second

    request.register_hook("response", answered)  # type: ignore[no-untyped-call]
    return request


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    raise TypeError("a body that is signed must be bytes or text, not a stream")
