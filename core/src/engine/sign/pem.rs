//! Finds the private key in a PEM text, and says what the text is when there is none.
//!
//! The usual PEM crates refuse what key files of this service look like (text behind the END line, RFC 1421
//! headers), so the frame is taken apart here and only the content is left to crates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::engine::error::{Error, ErrorKind};

/// What a label promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `PRIVATE KEY`
    Pkcs8,
    /// `RSA PRIVATE KEY`
    Pkcs1,
    /// `ENCRYPTED PRIVATE KEY`
    Pkcs8Encrypted,
}

/// A key's block: what it promises, its RFC 1421 encryption header, its content.
pub(super) struct Block<'a> {
    pub(super) encoding: Encoding,
    /// `DEK-Info` of a block marked `Proc-Type: 4,ENCRYPTED`: cipher name and initialisation vector in hex.
    pub(super) legacy_cipher: Option<(&'a str, &'a str)>,
    pub(super) der: Zeroizing<Vec<u8>>,
}

pub(super) fn problem(text: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Config, format!("the key {}", text.as_ref()))
}

/// Takes a PEM text apart. Text around the block does not matter; the first block that is a private key counts.
pub(super) fn find_key(pem: &[u8]) -> Result<Block<'_>, Error> {
    let text = as_text(pem)?;
    let mut first_label = None;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or_else(cut_off)?;
        first_label.get_or_insert(label);
        if label.ends_with("PRIVATE KEY") {
            let end = format!("-----END {label}-----");
            let (body, _) = after.split_once(end.as_str()).ok_or_else(cut_off)?;
            return read_block(label, body);
        }
        rest = after;
    }
    Err(match first_label {
        Some(label) => wrong_label(label),
        None => no_frame(text),
    })
}

fn cut_off() -> Error {
    problem("is cut off: its END line is missing")
}

fn as_text(pem: &[u8]) -> Result<&str, Error> {
    if pem.starts_with(&[0xff, 0xfe]) || pem.starts_with(&[0xfe, 0xff]) {
        return Err(problem("is UTF-16 text; save the file as UTF-8"));
    }
    if pem.starts_with(&[0x30, 0x82]) {
        return Err(problem("is in binary (DER) form; convert it to PEM"));
    }
    let text = std::str::from_utf8(pem).map_err(|_| problem("is not text"))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(problem("is empty"));
    }
    Ok(text)
}

fn read_block<'a>(label: &str, body: &'a str) -> Result<Block<'a>, Error> {
    let encoding = match label {
        "PRIVATE KEY" => Encoding::Pkcs8,
        "RSA PRIVATE KEY" => Encoding::Pkcs1,
        "ENCRYPTED PRIVATE KEY" => Encoding::Pkcs8Encrypted,
        _ => return Err(wrong_label(label)),
    };
    if body.contains("\\n") {
        return Err(problem("holds the two characters \"\\n\" where line breaks belong"));
    }
    let mut encrypted = false;
    let mut cipher = None;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    for line in body.lines() {
        match line.split_once(':') {
            Some((name, value)) if name.trim() == "Proc-Type" => encrypted = value.trim() == "4,ENCRYPTED",
            Some((name, value)) if name.trim() == "DEK-Info" => cipher = value.trim().split_once(','),
            Some(_) => {}
            None => base64.extend(line.split_ascii_whitespace()),
        }
    }
    if encrypted && cipher.is_none() {
        return Err(problem("says that it is encrypted but not how (no DEK-Info line)"));
    }
    if base64.is_empty() {
        return Err(problem("has nothing between its BEGIN and END lines"));
    }
    let der = STANDARD
        .decode(base64.as_bytes())
        .map_err(|_| damaged("what stands between BEGIN and END is not base64"))?;
    Ok(Block { encoding, legacy_cipher: cipher.filter(|_| encrypted), der: Zeroizing::new(der) })
}

pub(super) fn damaged(why: &str) -> Error {
    problem(format!("is damaged or cut short: {why}"))
}

fn wrong_label(label: &str) -> Error {
    problem(match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "SSH2 PUBLIC KEY" => "is a public key; the private one is needed",
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            "is a certificate; a private key is needed"
        }
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "is a certificate request; a private key is needed"
        }
        "EC PRIVATE KEY" | "EC PARAMETERS" => "is an EC key; the service takes RSA keys only",
        "DSA PRIVATE KEY" => "is a DSA key; the service takes RSA keys only",
        "OPENSSH PRIVATE KEY" => {
            "is in OpenSSH's own format; convert a copy with \"ssh-keygen -p -m PEM -f <copy>\""
        }
        _ => "is not of a kind that is known: its BEGIN line should say \"PRIVATE KEY\"",
    })
}

fn no_frame(text: &str) -> Error {
    problem(
        if text.starts_with("ssh-rsa ") || text.starts_with("ssh-ed25519 ") || text.starts_with("ecdsa-") {
            "is an OpenSSH public key; a private RSA key in PEM form is needed"
        } else if text.starts_with("PuTTY-User-Key-File") {
            "is in PuTTY's format; export it as PEM"
        } else if text.starts_with("eyJ") && text.split('.').count() == 3 {
            "is a session token; key_file and security_token_file seem to be swapped"
        } else if text == crate::engine::config::KEY_PLACEHOLDER
            || (text.starts_with('<') && text.ends_with('>'))
        {
            "is a placeholder; put the private key in its place"
        } else if text.contains("-----END ") {
            "is cut off: its BEGIN line is missing"
        } else {
            "is not a PEM text: it has no BEGIN line"
        },
    )
}
