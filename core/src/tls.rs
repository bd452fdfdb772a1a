//! Whom we trust: the machine's certificate authorities and, if given, further ones.

use std::path::Path;
use std::sync::Arc;

use once_cell::race::OnceBox;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::engine::error::{Error, ErrorKind};

/// Largest bundle file read, bytes; the usual system bundle has 200 KiB.
const MAX_BUNDLE: u64 = 16 << 20;

/// A client configuration that verifies servers against the machine's roots and those of `bundle` (PEM).
///
/// The crypto provider is chosen here and not installed for the process: a library must not decide that for its host.
/// Errors: `Config` when the bundle cannot be read or holds no certificate.
pub fn client_config(bundle: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = machine_roots();
    if let Some(path) = bundle {
        for certificate in read_bundle(path)? {
            roots.add(certificate).map_err(|error| unusable(path, &error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The machine's roots. Reading and parsing them takes longer than everything else about a client, so a process does it
/// once; that there were none is not remembered, for they may be installed while the process runs. Threads that begin together
/// read them each: one that waited would wait for ever in a child that was forked off meanwhile.
fn machine_roots() -> RootCertStore {
    static ROOTS: OnceBox<RootCertStore> = OnceBox::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() { Err(roots) } else { Ok(Box::new(roots)) }
    };
    // A machine without roots can still talk to loopback, and to servers known by a bundle.
    ROOTS.get_or_try_init(read).map_or_else(|none| none, Clone::clone)
}

fn read_bundle(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let size = std::fs::metadata(path).map_err(|error| unusable(path, &error.to_string()))?.len();
    if size > MAX_BUNDLE {
        return Err(unusable(path, "it is larger than 16 MiB"));
    }
    let text = std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(path, "it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the CA bundle {} cannot be used: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_is_none_is_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("ca.pem");
        for content in [
            None,
            Some("nothing here"),
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ] {
            if let Some(content) = content {
                std::fs::write(&path, content).expect("the directory is ours");
            }
            let error = client_config(Some(&path)).expect_err("no certificate in it");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("ca.pem"), "{error}");
        }
        assert!(client_config(None).is_ok());
    }
}
