//! Configuration: the file's grammar, the regions, and how flags, environment and files make settings.
//!
//! Pure: texts, environment and home directory are arguments, and nothing is looked up behind the caller's back.
//!
//! Reading order: [`grammar`] (one file's text), [`region`] and [`Endpoint`] (where requests go), [`Identity`] (who signs),
//! then [`Settings`], which puts all of it together with the precedence of the official command line.
//! Source: `oci.md` section 1.

mod defaults;
mod endpoint;
mod files;
pub mod grammar;
mod identity;
#[cfg(test)]
mod machine;
mod realms;
pub mod region;
mod resolve;
mod values;

pub use endpoint::Endpoint;
pub use files::{Surroundings, expand_home};
pub use grammar::{ConfigFile, DEFAULT_PROFILE, Profile};
pub use identity::{ApiKeyIdentity, AuthKind, Identity, KeySource, SessionIdentity, permission_warning};
pub use region::Region;
pub use resolve::{Overrides, Settings};

/// What the official command line writes as `key_file` when it never saw the private key (`oci.md` 5.4).
pub const KEY_PLACEHOLDER: &str = "Update_private_key_path";
