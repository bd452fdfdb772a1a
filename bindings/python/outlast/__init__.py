"""Uploads that outlive their tokens.

>>> import outlast
>>> with outlast.Uploader(profile="LAB") as uploader:                       # doctest: +SKIP
...     uploader.upload("db.tar", bucket_name="backups", progress=print)
"""

from ._client import Client
from ._errors import (
    AuthError,
    Busy,
    Cancelled,
    ConfigError,
    Error,
    Forked,
    IntegrityError,
    InternalError,
    InvalidInput,
    NetworkError,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    ProtocolError,
    ServiceError,
    SignInNeeded,
    SourceChanged,
    SourceError,
    StateError,
    Timeout,
)
from ._events import Event
from ._library import has_feature
from ._library import library as _library
from ._session import Credential, Session, SignedHeaders, Status, Token
from ._upload import Progress, Result, Upload
from ._uploader import Uploader
from ._writer import ObjectWriter

#: The version of the library that was loaded.
__version__: str = _library.outlast_version().decode()

__all__ = [
    "AuthError",
    "Busy",
    "Cancelled",
    "Client",
    "ConfigError",
    "Credential",
    "Error",
    "Event",
    "Forked",
    "IntegrityError",
    "InternalError",
    "InvalidInput",
    "NetworkError",
    "NotFound",
    "ObjectWriter",
    "PermissionDenied",
    "PreconditionFailed",
    "Progress",
    "ProtocolError",
    "Result",
    "ServiceError",
    "Session",
    "SignInNeeded",
    "SignedHeaders",
    "SourceChanged",
    "SourceError",
    "StateError",
    "Status",
    "Timeout",
    "Token",
    "Upload",
    "Uploader",
    "has_feature",
]
