"""Credential objects in the shape that other SDKs take."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import outlast


def test_azures_policy_takes_the_sessions_token(cloud: Any) -> None:
    policies = pytest.importorskip("azure.core.pipeline.policies")
    pipeline = pytest.importorskip("azure.core.pipeline")
    rest = pytest.importorskip("azure.core.rest")
    from outlast.azure_credential import AsyncSessionCredential, SessionCredential

    with outlast.Session(**cloud.login()) as session:
        token = session.token()
        policy = policies.BearerTokenCredentialPolicy(SessionCredential(session), "any")
        request = pipeline.PipelineRequest(rest.HttpRequest("GET", "https://localhost/"), pipeline.PipelineContext(None))
        policy.on_request(request)
        assert request.http_request.headers["Authorization"] == f"Bearer {token.value}"
        found = asyncio.run(AsyncSessionCredential(session).get_token("any"))
        assert found.token == token.value and found.expires_on > time.time()
        assert token.value not in repr(found)


def test_google_auth_asks_again_when_its_token_was_refused(cloud: Any) -> None:
    pytest.importorskip("google.auth.credentials")
    from outlast.google_credentials import SessionCredentials

    with outlast.Session(**cloud.login()) as session:
        session.accept(session.token().generation)
        credentials = SessionCredentials(session)
        headers: dict[str, str] = {}
        credentials.before_request(None, "GET", "https://localhost/", headers)
        first = session.token()
        assert headers["authorization"] == f"Bearer {first.value}" and credentials.valid
        # Ends are whole seconds: in the second of the sign-in a refresh moves nothing.
        cloud.control("clock", {"advance_s": 2})
        try:
            # What its transports do after a 401.
            credentials.refresh(None)
            credentials.before_request(None, "GET", "https://localhost/", headers)
        finally:
            cloud.control("clock", {"run": True, "shift_s": 0})
        assert session.token().generation > first.generation
        assert headers["authorization"] == f"Bearer {session.token().value}" != f"Bearer {first.value}"
