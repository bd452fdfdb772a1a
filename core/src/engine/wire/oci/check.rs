//! Names and properties, checked once before anything is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::super::encode::header_value;
use super::request::{algorithm_name, checksum_header};
use crate::engine::checksum::{Digests, parse_crc32c, parse_md5, parse_sha256, parse_sha384};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::upload::spec::{ChecksumAlgorithm, CustomerKey, ObjectProperties, Precondition, Target};

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

/// Checks that the properties and the precondition can be carried: as headers when `single`, else mostly as JSON.
///
/// Errors: `InvalidInput`, naming the property but not its value. Never panics.
pub fn check_properties(
    properties: &ObjectProperties,
    precondition: &Precondition,
    single: bool,
) -> Result<(), Error> {
    let texts = [
        ("content type", &properties.content_type),
        ("content language", &properties.content_language),
        ("content encoding", &properties.content_encoding),
        ("content disposition", &properties.content_disposition),
        ("cache control", &properties.cache_control),
    ];
    for (what, text) in texts {
        if let Some(text) = text {
            filled(what, text)?;
            carried(what, text, single)?;
        }
    }
    for (name, text) in &properties.metadata {
        check_metadata_name(name)?;
        carried(&format!("metadata \"{name}\""), text, single)?;
    }
    if let Some(id) = &properties.kms_key_id {
        filled("KMS key id", id)?;
        carried("KMS key id", id, true)?;
    }
    if let Precondition::Etag(etag) = precondition {
        filled("expected etag", etag)?;
        carried("expected etag", etag, true)?;
    }
    if let Some(key) = &properties.customer_key {
        if properties.kms_key_id.is_some() {
            return Err(invalid(
                "an object is encrypted with a customer key or with a KMS key, not with both",
            ));
        }
        if customer_key(key.key.expose())?.key_sha256 != key.key_sha256 {
            return Err(invalid("the encryption key does not have the SHA-256 that is told with it"));
        }
    }
    if properties.content_md5.as_deref().is_some_and(|text| parse_md5(text).is_none()) {
        return Err(invalid("the content MD5 is not the base64 of 16 bytes"));
    }
    match &properties.content_checksum {
        Some((ChecksumAlgorithm::Crc32c, text)) if parse_crc32c(text).is_none() => {
            Err(invalid("the content CRC32C is not the base64 of 4 bytes"))
        }
        Some((ChecksumAlgorithm::Sha256, text)) if parse_sha256(text).is_none() => {
            Err(invalid("the content SHA256 is not the base64 of 32 bytes"))
        }
        Some((ChecksumAlgorithm::Sha384, text)) if parse_sha384(text).is_none() => {
            Err(invalid("the content SHA384 is not the base64 of 48 bytes"))
        }
        _ => Ok(()),
    }
}

/// The additional checksum to ask of the service, and the value of it that the caller vouches for. `given` are values in
/// base64; one without `asked` says which algorithm is asked for. Nothing asked, nothing given: CRC32C.
///
/// Errors: `InvalidInput` by the names of the headers: two values, or one that is not of the algorithm asked for.
pub fn vouched_checksum(
    asked: Option<ChecksumAlgorithm>,
    given: [(ChecksumAlgorithm, Option<String>); 3],
) -> Result<(ChecksumAlgorithm, Option<(ChecksumAlgorithm, String)>), Error> {
    let mut given = given.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let Some((algorithm, value)) = given.next() else {
        return Ok((asked.unwrap_or(ChecksumAlgorithm::Crc32c), None));
    };
    let header = checksum_header(algorithm);
    if let Some((other, _)) = given.next() {
        let other = checksum_header(other);
        return Err(invalid(&format!(
            "{header} and {other} exclude each other: the service takes one such checksum"
        )));
    }
    match asked.filter(|asked| *asked != algorithm) {
        Some(asked) => {
            let asked = algorithm_name(asked);
            Err(invalid(&format!("{header} does not go with the opc-checksum-algorithm {asked}")))
        }
        None => Ok((algorithm, Some((algorithm, value)))),
    }
}

/// The checksum that the caller vouches for and the bytes do not have, by its name; `None` also when it was not computed.
pub fn wrongly_vouched(properties: &ObjectProperties, ours: &Digests) -> Option<&'static str> {
    let differs = |told: Option<bool>| told == Some(false);
    let md5 = properties.content_md5.as_deref().and_then(parse_md5);
    if differs(ours.md5.and_then(|ours| Some(ours == md5?))) {
        return Some("MD5");
    }
    let (algorithm, text) = properties.content_checksum.as_ref()?;
    let wrong = differs(match algorithm {
        ChecksumAlgorithm::Crc32c => ours.crc32c.and_then(|ours| Some(ours == parse_crc32c(text)?)),
        ChecksumAlgorithm::Sha256 => ours.sha256.and_then(|ours| Some(ours == parse_sha256(text)?)),
        ChecksumAlgorithm::Sha384 => ours.sha384.and_then(|ours| Some(ours == parse_sha384(text)?)),
    });
    wrong.then(|| algorithm_name(*algorithm))
}

/// Reads a customer's encryption key: the base64 of 32 bytes, spaces and line ends around it ignored.
///
/// Errors: `InvalidInput`, without the key.
pub fn customer_key(base64: &str) -> Result<CustomerKey, Error> {
    let base64 = base64.trim();
    let raw = Zeroizing::new(STANDARD.decode(base64).unwrap_or_default());
    if raw.len() != 32 {
        return Err(invalid("the encryption key is not the base64 of 32 bytes"));
    }
    let key_sha256 = STANDARD.encode(Sha256::digest(&raw));
    Ok(CustomerKey { key: Secret::new(base64.to_owned()), key_sha256 })
}

/// Metadata names become header names: RFC 9110 section 5.6.2.
fn check_metadata_name(name: &str) -> Result<(), Error> {
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    {
        let name: String = name.chars().take(60).collect();
        return Err(invalid(&format!("the metadata name {name:?} cannot be part of a header name")));
    }
    Ok(())
}

fn filled(what: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() { Err(invalid(&format!("the {what} is empty"))) } else { Ok(()) }
}

fn carried(what: &str, text: &str, in_header: bool) -> Result<(), Error> {
    if in_header {
        return header_value(text).map(|_| ()).map_err(|error| error.during(what));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(&format!("{what}: the value has control characters")));
    }
    Ok(())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn target(namespace: &str, bucket: &str, object: &str) -> Target {
        Target { namespace: namespace.into(), bucket: bucket.into(), object: object.into() }
    }

    #[test]
    fn names_that_http_or_the_service_would_bend_are_refused() {
        let longest = "ü".repeat(512);
        for name in ["a", "...", "a/../b", ".a", " ", "\t", "a\u{1}b", "%2E", longest.as_str()] {
            check_target(&target("ns", "my_bucket-1.x", name))
                .unwrap_or_else(|error| panic!("{name:?}: {error}"));
        }
        let too_long = "ü".repeat(512) + "x";
        for (name, problem) in [
            ("", "is empty"),
            (".", "is a dot path that HTTP software would remove"),
            ("..", "is a dot path that HTTP software would remove"),
            ("a\0b", "holds a NUL, carriage return or line feed"),
            ("a\nb", "holds a NUL, carriage return or line feed"),
            ("\r", "holds a NUL, carriage return or line feed"),
            (too_long.as_str(), "is longer than 1024 bytes"),
        ] {
            let error = check_target(&target("ns", "b", name)).unwrap_err();
            assert_eq!(error.to_string(), format!("the object name {problem}"));
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        for (label, problem) in [
            ("", "is empty"),
            ("..", "is a dot path"),
            ("a/b", "may hold only letters, digits, '_', '-' and '.'"),
            ("ü", "may hold only letters, digits, '_', '-' and '.'"),
            ("a b", "may hold only letters, digits, '_', '-' and '.'"),
        ] {
            let error = check_target(&target(label, "b", "o")).unwrap_err();
            assert_eq!(error.to_string(), format!("the namespace {problem}"));
            let error = check_target(&target("n", label, "o")).unwrap_err();
            assert_eq!(error.to_string(), format!("the bucket name {problem}"));
        }
    }

    fn with(change: impl FnOnce(&mut ObjectProperties)) -> ObjectProperties {
        let mut properties = ObjectProperties::default();
        change(&mut properties);
        properties
    }

    #[test]
    fn properties_are_checked_for_the_way_they_travel() {
        let accented = with(|p| p.metadata = BTreeMap::from([("k".into(), "ü".into())]));
        check_properties(&accented, &Precondition::None, false).unwrap();
        let error = check_properties(&accented, &Precondition::None, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metadata \"k\": the value has characters outside ASCII, which a header cannot carry"
        );
        let key = STANDARD.encode([7; 32]);
        let all = with(|p| {
            p.content_type = Some("text/plain; charset=utf-8".into());
            p.cache_control = Some("no-store".into());
            p.metadata = BTreeMap::from([("empty-is-fine".into(), String::new())]);
            p.customer_key = Some(customer_key(&key).unwrap());
            p.content_md5 = Some("1B2M2Y8AsgTpgAmY7PhCfg==".into());
            p.content_checksum = Some((ChecksumAlgorithm::Crc32c, "4waSgw==".into()));
        });
        check_properties(&all, &Precondition::Absent, true).unwrap();
        check_properties(&all, &Precondition::Etag("e-1".into()), false).unwrap();
    }

    #[test]
    fn bad_properties_get_one_clear_line() {
        let key = STANDARD.encode([7; 32]);
        let cases = [
            (with(|p| p.content_type = Some(String::new())), "the content type is empty"),
            (
                with(|p| p.content_language = Some("a\nb".into())),
                "content language: the value has control characters",
            ),
            (
                with(|p| p.metadata = BTreeMap::from([("a b".into(), "v".into())])),
                "the metadata name \"a b\" cannot be part of a header name",
            ),
            (
                with(|p| p.metadata = BTreeMap::from([(String::new(), "v".into())])),
                "the metadata name \"\" cannot be part of a header name",
            ),
            (
                with(|p| p.metadata = BTreeMap::from([("a:".into(), "v".into())])),
                "the metadata name \"a:\" cannot be part of a header name",
            ),
            (with(|p| p.kms_key_id = Some(String::new())), "the KMS key id is empty"),
            (
                with(|p| p.kms_key_id = Some("ü".into())),
                "KMS key id: the value has characters outside ASCII, which a header cannot carry",
            ),
            (with(|p| p.content_md5 = Some("abc".into())), "the content MD5 is not the base64 of 16 bytes"),
            (
                with(|p| p.content_checksum = Some((ChecksumAlgorithm::Crc32c, "x".into()))),
                "the content CRC32C is not the base64 of 4 bytes",
            ),
            (
                with(|p| p.content_checksum = Some((ChecksumAlgorithm::Sha256, "4waSgw==".into()))),
                "the content SHA256 is not the base64 of 32 bytes",
            ),
            (
                with(|p| p.content_checksum = Some((ChecksumAlgorithm::Sha384, String::new()))),
                "the content SHA384 is not the base64 of 48 bytes",
            ),
            (
                with(|p| {
                    p.customer_key = Some(customer_key(&key).unwrap());
                    p.kms_key_id = Some("ocid1.key.oc1..x".into());
                }),
                "an object is encrypted with a customer key or with a KMS key, not with both",
            ),
            (
                with(|p| {
                    p.customer_key = Some(CustomerKey { key: key.clone().into(), key_sha256: "x".into() });
                }),
                "the encryption key does not have the SHA-256 that is told with it",
            ),
        ];
        for (properties, expected) in cases {
            let error = check_properties(&properties, &Precondition::None, false).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        let error = check_properties(&ObjectProperties::default(), &Precondition::Etag(String::new()), true);
        assert_eq!(error.unwrap_err().to_string(), "the expected etag is empty");
    }

    #[test]
    fn one_checksum_is_vouched_for_and_says_what_is_asked() {
        use ChecksumAlgorithm::{Crc32c, Sha256, Sha384};
        let vouched = |asked, values: [Option<&str>; 3]| {
            let [crc32c, sha256, sha384] = values.map(|value| value.map(str::to_owned));
            vouched_checksum(asked, [(Crc32c, crc32c), (Sha256, sha256), (Sha384, sha384)])
        };
        assert_eq!(vouched(None, [None; 3]).unwrap(), (Crc32c, None));
        assert_eq!(vouched(Some(Sha384), [None; 3]).unwrap(), (Sha384, None));
        for asked in [None, Some(Sha256)] {
            let found = vouched(asked, [None, Some("x"), None]).unwrap();
            assert_eq!(found, (Sha256, Some((Sha256, "x".to_owned()))));
        }
        for (asked, values, expected) in [
            (
                None,
                [Some("x"), None, Some("y")],
                "opc-content-crc32c and opc-content-sha384 exclude each other: the service takes one such checksum",
            ),
            (
                Some(Crc32c),
                [None, Some("x"), None],
                "opc-content-sha256 does not go with the opc-checksum-algorithm CRC32C",
            ),
        ] {
            let error = vouched(asked, values).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, expected));
        }
    }

    #[test]
    fn only_a_checksum_that_was_computed_is_known_to_be_wrong() {
        let md5 = with(|p| p.content_md5 = Some("1B2M2Y8AsgTpgAmY7PhCfg==".into()));
        let crc32c = with(|p| p.content_checksum = Some((ChecksumAlgorithm::Crc32c, "4waSgw==".into())));
        let right = Digests {
            md5: parse_md5("1B2M2Y8AsgTpgAmY7PhCfg=="),
            crc32c: parse_crc32c("4waSgw=="),
            ..Digests::default()
        };
        let wrong = Digests { md5: Some([7; 16]), crc32c: Some(7), ..Digests::default() };
        for (properties, name) in [(md5, "MD5"), (crc32c, "CRC32C")] {
            assert_eq!(wrongly_vouched(&properties, &Digests::default()), None);
            assert_eq!(wrongly_vouched(&properties, &right), None);
            assert_eq!(wrongly_vouched(&properties, &wrong), Some(name));
        }
    }

    #[test]
    fn customer_keys_are_read_and_hashed() {
        let key = customer_key(&format!(" {}\r\n", STANDARD.encode([0; 32]))).unwrap();
        assert_eq!(key.key_sha256, "Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU=");
        assert_eq!(key.key.expose(), &STANDARD.encode([0; 32]));
        for text in ["", "AAAA", "not base64!", &STANDARD.encode([0; 33])] {
            let error = customer_key(text).unwrap_err();
            assert_eq!(error.to_string(), "the encryption key is not the base64 of 32 bytes");
        }
    }
}
