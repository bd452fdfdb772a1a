//! Whom we trust: the machine's certificate authorities and, if given, further ones.

use std::path::Path;
use std::sync::Arc;

use once_cell::race::OnceBox;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::engine::error::{Error, ErrorKind};

/// Largest bundle file read, bytes; the usual system bundle has 200 KiB.
const MAX_BUNDLE: u64 = 16 << 20;

/// A client configuration that verifies servers against the machine's roots and those of `bundle` (PEM).
///
/// The crypto provider is chosen here and not installed for the process: a library must not decide that for its host.
/// Errors: `Config` when the bundle cannot be read or holds no certificate.
pub fn client_config(bundle: Option<&Path>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = bundle {
        for certificate in read_bundle(path)? {
            roots.add(certificate).map_err(|error| unusable(path, &error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier { bundle: roots, provider: Arc::clone(&provider), webpki: OnceBox::new() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        // rustls calls every verifier dangerous that is not its own; this one only makes its own later.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// The usual verifier, made when the first server wants to be trusted: reading the machine's roots takes longer than
/// everything else about a client, and many a client only ever talks to loopback.
#[derive(Debug)]
struct Verifier {
    bundle: RootCertStore,
    provider: Arc<CryptoProvider>,
    webpki: OnceBox<Arc<WebPkiServerVerifier>>,
}

impl Verifier {
    fn webpki(&self) -> Result<&WebPkiServerVerifier, rustls::Error> {
        let make = || {
            let mut roots = machine_roots();
            roots.roots.extend(self.bundle.roots.iter().cloned());
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
            // It refuses to be without roots. They may be installed while the process runs, so this is not kept.
            builder.build().map(Box::new).map_err(|_| CertificateError::UnknownIssuer.into())
        };
        self.webpki.get_or_try_init(make).map(AsRef::as_ref)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.webpki()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The machine's roots, read once by a process; that there were none is not remembered. Threads that begin together
/// read them each: one that waited would wait for ever in a child that was forked off meanwhile.
fn machine_roots() -> RootCertStore {
    static ROOTS: OnceBox<RootCertStore> = OnceBox::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() { Err(roots) } else { Ok(Box::new(roots)) }
    };
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
