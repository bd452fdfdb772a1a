//! OAuth 2.0 and OpenID Connect, as far as a client needs them: requests out, replies in, nothing decided.
//!
//! What a failure *means* differs from server to server and is data: [`crate::engine::provider`].
//!
//! | file        | what                                                                              |
//! |-------------|-----------------------------------------------------------------------------------|
//! | `form`      | the encoding of bodies and of secrets inside a Basic header                       |
//! | `client`    | one client authentication: basic, post, `private_key_jwt`, none                   |
//! | `request`   | token endpoint (all grants), device authorization, revocation, authorization URL  |
//! | `reply`     | the token endpoint's answer, good or bad                                          |
//! | `device`    | device codes and how often to ask                                                 |
//! | `discovery` | where the endpoints are, and whether the document is the right one                |
//! | `pkce`      | verifier and challenge                                                            |
//!
//! Source: RFC 6749, 7009, 7523, 7636, 8252, 8414, 8628, 8693, 8707, 9207; `oauth2.md`.

pub mod client;
pub mod device;
pub mod discovery;
pub mod form;
pub mod pkce;
pub mod reply;
pub mod request;
mod text;

pub use client::{Client, Proof};
pub use discovery::Endpoints;
pub use reply::{Rejection, TokenReply};
pub use request::{Ask, Scope};
