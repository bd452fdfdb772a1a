//! The authorization server: OAuth 2.0 as strict as it can be, with the ways of several servers to choose from.
//!
//! - `settings`  the switches, and the servers whose ways can be taken over
//! - `form`, `client`, `token`  what a request must look like, who asks, the grants
//! - `store`, `rotation`  every token ever issued, and what happens when one is presented again
//! - `pages`, `resource`  what people and resource clients see
//! - `watch`  what no client may ever do
//! - `style`  refusals, in the words of the server that is played

pub(crate) mod client;
pub(crate) mod face;
mod form;
mod pages;
pub(crate) mod resource;
pub(crate) mod rotation;
pub(crate) mod settings;
pub(crate) mod store;
pub(crate) mod style;
mod token;
pub(crate) mod watch;

pub(crate) use pages::decide;
