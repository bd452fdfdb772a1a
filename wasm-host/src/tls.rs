//! Whom we trust: the machine's certificate authorities and, if given, further ones. The policy of `core::native`.

use std::path::Path;
use std::sync::Arc;

use outlast_core::{Error, ErrorKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Errors: `Config` when the bundle cannot be read or holds no certificate.
pub(crate) fn client_config(bundle: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // A machine without roots can still talk to loopback, and to servers known by the bundle.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = bundle {
        let unusable = |why: String| {
            Error::new(ErrorKind::Config, format!("the CA bundle {} cannot be used: {why}", path.display()))
        };
        let found: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        let found = found.map_err(|error| unusable(error.to_string()))?;
        if found.is_empty() {
            return Err(unusable("it holds no certificate in PEM form".to_owned()));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    // The provider is chosen here and not installed for the process: a library must not decide that for its host.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
