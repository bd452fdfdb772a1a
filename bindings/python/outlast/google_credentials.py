"""Credentials for ``google.auth``: its transports and clients ask a session for their bearer tokens.

    from outlast.google_credentials import SessionCredentials

    requests = google.auth.transport.requests.AuthorizedSession(SessionCredentials(session))
"""

from __future__ import annotations

import datetime
from typing import Any

import google.auth.credentials

from ._session import Session


class SessionCredentials(google.auth.credentials.Credentials):
    """The session's token of the moment. google.auth refreshes before a token ends, and after a 401."""

    def __init__(self, session: Session) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.session = session
        self._generation: int | None = None

    def refresh(self, request: Any) -> None:
        """Takes the session's token. Asked for while the one in hand is still good, that one was refused."""
        if self._generation is not None and self.valid:
            self.session.reject(self._generation)
        token = self.session.token()
        self.token, self._generation = token.value, token.generation
        # google.auth counts in UTC without saying so.
        self.expiry = (
            datetime.datetime.fromtimestamp(token.expires_at, datetime.timezone.utc).replace(tzinfo=None)
            if token.expires_at is not None
            else None
        )
