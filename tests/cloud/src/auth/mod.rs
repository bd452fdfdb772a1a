//! Who is asking: request signatures, session tokens, and the endpoints that hand out more of them.

pub(crate) mod face;
pub(crate) mod issuer;
pub(crate) mod registry;
pub(crate) mod signature;
#[cfg(test)]
mod vectors;
