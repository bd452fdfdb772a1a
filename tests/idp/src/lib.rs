//! Identity servers that others wrote, started on loopback for tests: what is needed to drive them, and nothing of ours.
//!
//! - `web`     a small HTTP client
//! - `proxy`   stands before a server: counts what the token endpoint is asked, and cuts its answers on demand
//! - `server`  oidc-provider, django-oauth-toolkit and Keycloak as processes that end with the test
//!
//! Where they are installed is said by the environment variable `OUTLAST_IDP` (see `install`).

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "servers are started, awaited and timed")]

pub mod proxy;
pub mod server;
pub mod web;
