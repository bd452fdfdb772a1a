"""Which bodies a signature covers, and what a refused request needs to be sent again."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urldefrag, urlsplit

from ._session import Session, SignedHeaders

# The bytes of objects and parts stand outside the signature: PutObject and UploadPart.
_BYTES = re.compile(r"/n/[^/]+/b/[^/]+/[ou]/.")


def covers_body(method: str, url: str) -> bool:
    """Whether the service wants the body of such a request signed."""
    if method.upper() == "PUT":
        return _BYTES.search(urlsplit(url).path) is None
    return method.upper() in ("POST", "PATCH")


def sign(session: Session, method: str, url: str, headers: Any, body: bytes | None) -> SignedHeaders:
    """Signs, and adds to `headers` what has to be sent; `body` is None where it is not covered."""
    content_type = None
    if body is not None:
        content_type = headers.get("content-type")
        if content_type is None:
            content_type = headers["content-type"] = "application/json"
        if isinstance(content_type, bytes):
            content_type = content_type.decode("latin-1")
    signed = session.sign(method, urldefrag(url).url, body=body, content_type=content_type)
    for name, value in signed.items():
        headers[name] = value
    return signed
