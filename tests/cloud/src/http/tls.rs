//! The TLS face: a test authority made at start and one certificate for every name the cloud answers to.

use crate::error::{Error, ErrorKind};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) struct TlsFace {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_file: PathBuf,
}

impl TlsFace {
    /// Makes the authority and the certificate, and writes the former to `ca_file`, or to a file in the temporary
    /// directory that comes along.
    pub(crate) fn new(region: &str, ca_file: Option<&Path>) -> Result<(Self, Option<TempDir>), Error> {
        let names = [
            "localhost".to_owned(),
            "127.0.0.1".into(),
            "::1".into(),
            format!("objectstorage.{region}.oraclecloud.com"),
            format!("auth.{region}.oraclecloud.com"),
            format!("identity.{region}.oci.oraclecloud.com"),
        ];
        let (ca_pem, config) = certify(&names).map_err(|error| {
            Error::new(ErrorKind::Key, format!("cannot make the test certificate: {error}"))
        })?;
        let (dir, ca_file) = if let Some(file) = ca_file {
            (None, file.to_owned())
        } else {
            let dir = tempfile::Builder::new().prefix("outlast-cloud-").tempdir();
            let dir =
                dir.map_err(|error| Error::io(ErrorKind::File, "cannot make a directory for the CA", error))?;
            let file = dir.path().join("ca.pem");
            (Some(dir), file)
        };
        std::fs::write(&ca_file, ca_pem).map_err(|error| {
            Error::io(
                ErrorKind::File,
                format!("cannot write the CA certificate to {}", ca_file.display()),
                error,
            )
        })?;
        Ok((Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_file }, dir))
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

fn certify(names: &[String]) -> Result<(String, ServerConfig), Problem> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "Outlast loopback cloud: test authority");
    let ca_key = KeyPair::generate()?;
    let ca = authority.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&authority, &ca_key);

    let mut leaf = CertificateParams::new(names.to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "Outlast loopback cloud");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &issuer)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone(), ca.der().clone()], key)?;
    Ok((ca.pem(), config))
}
