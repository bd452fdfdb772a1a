"""A credential object as the Azure SDKs and whatever follows them take: ``get_token(…)`` gives a fresh token.

    from outlast.azure_credential import SessionCredential

    policy = azure.core.pipeline.policies.BearerTokenCredentialPolicy(SessionCredential(session), "scope")

No package is needed for it: the protocol is a method and two fields.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, NamedTuple

from ._session import Session, Token

#: What is told as the end of a token that does not end, seconds from now: long enough to use, short enough to ask again.
_ENDLESS = 300


class AccessToken(NamedTuple):
    """A token and its end, seconds since 1970 UTC."""

    token: str
    expires_on: int

    def __repr__(self) -> str:
        return f"AccessToken(expires_on={self.expires_on})"


class SessionCredential:
    """Gives the session's token of the moment; scopes are the session's own and those named are ignored."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token that is good now."""
        return _access(self.session.token())

    def close(self) -> None:
        """Nothing: the session is its owner's."""

    def __enter__(self) -> SessionCredential:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncSessionCredential:
    """The same for asynchronous clients."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token that is good now."""
        return _access(await self.session.atoken())

    async def close(self) -> None:
        """Nothing: the session is its owner's."""

    async def __aenter__(self) -> AsyncSessionCredential:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _access(token: Token) -> AccessToken:
    end = token.expires_at if token.expires_at is not None else time.time() + _ENDLESS
    return AccessToken(token.value, int(end))
