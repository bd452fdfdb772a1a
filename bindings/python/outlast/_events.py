"""Events: what happened to an upload or its session."""

from __future__ import annotations

from dataclasses import dataclass

from . import _abi
from ._errors import Error, from_handle, text

_KINDS = {
    value: name.removeprefix("EVENT_").lower().replace("_", "-")
    for name, value in vars(_abi).items()
    if name.startswith("EVENT_")
}


@dataclass(frozen=True)
class Event:
    """Something that happened. Which fields mean something is said at each OUTLAST_EVENT_* of outlast.h."""

    #: For example ``"part-stored"``, ``"refreshed"``, ``"finished"``.
    kind: str
    #: When, seconds since 1970 UTC.
    time: float
    session: int
    upload: int
    generation: int
    request: int
    #: Bytes of a part, or stored and sent so far (``"progress"``).
    bytes: int
    total: int
    part: int
    count: int
    #: A moment, seconds since 1970 UTC; None where there is none.
    moment: float | None
    horizon: float | None
    #: A time span, seconds.
    delay: float
    reused: bool
    resumable: bool
    text: str | None
    #: On whose behalf a service acts (``"handed-over"``).
    principal: str | None
    error: Error | None


def convert(raw: _abi.outlast_event) -> Event:
    """A copy of an event that is alive."""
    error = from_handle(raw.error, raw.status) if raw.error else None
    if error is not None:
        error.resumable = bool(raw.flags & _abi.FLAG_RESUMABLE)
    return Event(
        kind=_KINDS.get(raw.kind, f"unknown-{raw.kind}"),
        time=raw.time_unix_ms / 1000,
        session=raw.session,
        upload=raw.upload,
        generation=raw.generation,
        request=raw.request,
        bytes=raw.bytes,
        total=raw.total,
        part=raw.part,
        count=raw.count,
        moment=raw.moment_unix_ms / 1000 if raw.moment_unix_ms else None,
        horizon=raw.horizon_unix_ms / 1000 if raw.horizon_unix_ms else None,
        delay=raw.delay_ms / 1000,
        reused=bool(raw.flags & _abi.FLAG_REUSED),
        resumable=bool(raw.flags & _abi.FLAG_RESUMABLE),
        text=text(raw.text),
        principal=text(raw.principal),
        error=error,
    )
