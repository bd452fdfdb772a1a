"""A signer for the official `oci` SDK, so that its clients and its UploadManager outlive their tokens.

    import oci, outlast
    from outlast.oci_signer import SessionSigner

    session = outlast.Session(profile="LAB")
    config = oci.config.from_file(profile_name="LAB")
    client = oci.object_storage.ObjectStorageClient(config, signer=SessionSigner(session))
"""

from __future__ import annotations

from typing import Any

from oci.auth.signers import SecurityTokenSigner

from ._session import Session
from .requests_auth import prepare


class SessionSigner(SecurityTokenSigner):  # type: ignore[misc]
    """Signs each request with the session's credential of the moment; one refused with 401 is sent once more.

    It is a SecurityTokenSigner by name only, since the SDK asks API keys of all others; nothing of that class is used.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        # A pause between two requests may be longer than a token lives.
        session.hold()

    def do_request_sign(self, request: Any, enforce_content_headers: bool = True) -> Any:
        """What the SDK calls for each request."""
        body = request.method.upper() in ("PUT", "POST", "PATCH")
        cover = body and enforce_content_headers
        if not cover:
            # Of a stream without length; Object Storage does not take it. The SDK's own signers do the same.
            request.headers.pop("Transfer-Encoding", None)
        return prepare(self.session, request, cover)
