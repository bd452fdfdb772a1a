//! Configuration: the file's grammar, the regions, and how flags, environment and files make settings.
//!
//! Pure: texts, environment and home directory are arguments.

/// What the official command line writes as `key_file` when it never saw the private key (`oci.md` 5.4).
pub const KEY_PLACEHOLDER: &str = "Update_private_key_path";
