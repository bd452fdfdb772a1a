//! Profiles on disk, as the official tool writes them.

use crate::auth::issuer::new_key;
use crate::auth::registry::{Minted, Opening, Refreshed, SessionKind, TokenFacts};
use crate::error::{Error, ErrorKind};
use crate::random::hex;
use crate::service::Service;
use md5::{Digest as _, Md5};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the official tool appends to every private key it writes.
const KEY_LABEL: &str = "OCI_API_KEY";

/// A request to sign somebody in. In JSON durations are seconds; only `profile` and `dir` are needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// Profile name: letters, digits, `. _ - @`.
    pub profile: String,
    /// Directory that takes the part of `~/.oci`: `config` and `sessions/<profile>/` are written there.
    pub dir: PathBuf,
    /// Browser or not.
    pub kind: SessionKind,
    /// Life of this session's tokens; `None` for the setting.
    #[serde(rename = "token_life_s", with = "crate::seconds::option")]
    pub token_life: Option<Duration>,
    /// How long after now the session can be extended; `None` for the setting.
    #[serde(rename = "horizon_s", with = "crate::seconds::option")]
    pub horizon: Option<Duration>,
    /// Private key to use (PKCS#8 PEM) instead of a new one.
    pub key_pem: Option<String>,
}

/// A request for a profile with an API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// Profile name.
    pub profile: String,
    /// Directory that takes the part of `~/.oci`.
    pub dir: PathBuf,
    /// Private key to use (PKCS#8 PEM) instead of a new one.
    pub key_pem: Option<String>,
}

/// A profile that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub profile: String,
    /// Config file with the profile's section.
    pub config_file: PathBuf,
    /// Private key file.
    pub key_file: PathBuf,
    /// Token file; `None` for an API key.
    pub token_file: Option<PathBuf>,
    /// MD5 of the public key's DER, hex pairs with colons.
    pub fingerprint: String,
    /// keyId of the API key; `None` for a session, whose keyId is `ST$` and the token.
    pub key_id: Option<String>,
    /// The first token; `None` for an API key.
    pub token: Option<TokenFacts>,
    /// Number of the session in this cloud.
    pub session: Option<usize>,
}

/// Where the token files of the profiles are, by profile name.
#[derive(Default)]
pub(crate) struct Profiles(Mutex<HashMap<String, PathBuf>>);

impl Login {
    /// A browser login with the cloud's lifetimes.
    pub fn new(profile: &str, dir: impl Into<PathBuf>) -> Self {
        Self { profile: profile.into(), dir: dir.into(), ..Self::default() }
    }

    /// The same as by `--no-browser`: its end never moves.
    #[must_use]
    pub fn no_browser(mut self) -> Self {
        self.kind = SessionKind::NoBrowser;
        self
    }

    /// The same with a private key (PKCS#8 PEM) instead of a new one.
    #[must_use]
    pub fn key_pem(mut self, pem: &str) -> Self {
        self.key_pem = Some(pem.into());
        self
    }

    /// The same with another token life.
    #[must_use]
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = Some(life);
        self
    }

    /// The same with another horizon.
    #[must_use]
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = Some(horizon);
        self
    }
}

impl ApiKey {
    /// A new key for a profile.
    pub fn new(profile: &str, dir: impl Into<PathBuf>) -> Self {
        Self { profile: profile.into(), dir: dir.into(), key_pem: None }
    }
}

pub(crate) fn login(service: &Service, login: &Login) -> Result<Profile, Error> {
    check_name(&login.profile)?;
    let key = private_key(login.key_pem.as_deref())?;
    let (config, settings) = (&service.config, service.settings());
    let opening = Opening {
        profile: &login.profile,
        kind: login.kind,
        user: &config.user,
        tenancy: &config.tenancy,
        key: key.to_public_key(),
        token_life: login.token_life.unwrap_or(settings.token_life),
        horizon: login.horizon.unwrap_or(settings.horizon),
    };
    let minted = service.registry.open(opening, &settings, service.clock.now())?;
    let files = Files::new(&login.dir, &login.profile)?;
    files.write_keys(&key)?;
    let token_file = files.dir.join("token");
    write_private(&token_file, minted.jwt.as_bytes())?;
    let fingerprint = fingerprint(&key.to_public_key())?;
    let section = [
        ("fingerprint", fingerprint.clone()),
        ("key_file", files.key_file().display().to_string()),
        ("tenancy", config.tenancy.clone()),
        ("region", config.region.clone()),
        ("security_token_file", token_file.display().to_string()),
    ];
    let config_file = write_section(&login.dir, &login.profile, &section)?;
    service.profiles.set(&login.profile, &token_file);
    Ok(Profile {
        profile: login.profile.clone(),
        config_file,
        key_file: files.key_file(),
        token_file: Some(token_file),
        fingerprint,
        key_id: None,
        token: Some(minted.facts),
        session: Some(minted.session),
    })
}

pub(crate) fn api_key(service: &Service, request: &ApiKey) -> Result<Profile, Error> {
    check_name(&request.profile)?;
    let key = private_key(request.key_pem.as_deref())?;
    let config = &service.config;
    let files = Files::new(&request.dir, &request.profile)?;
    files.write_keys(&key)?;
    let fingerprint = fingerprint(&key.to_public_key())?;
    let section = [
        ("user", config.user.clone()),
        ("fingerprint", fingerprint.clone()),
        ("key_file", files.key_file().display().to_string()),
        ("tenancy", config.tenancy.clone()),
        ("region", config.region.clone()),
    ];
    let config_file = write_section(&request.dir, &request.profile, &section)?;
    let key_id = format!("{}/{}/{fingerprint}", config.tenancy, config.user);
    service.registry.trust(&key_id, key.to_public_key(), &config.user, &config.tenancy);
    Ok(Profile {
        profile: request.profile.clone(),
        config_file,
        key_file: files.key_file(),
        token_file: None,
        fingerprint,
        key_id: Some(key_id),
        token: None,
        session: None,
    })
}

pub(crate) fn refresh_file(service: &Service, profile: &str) -> Result<TokenFacts, Error> {
    let missing =
        |why: String| Error::new(ErrorKind::Missing, format!("cannot refresh profile {profile:?}: {why}"));
    let file =
        service.profiles.get(profile).ok_or_else(|| missing("it was not written by this cloud".into()))?;
    let now = service.clock.now();
    let newest = service.registry.newest(profile)?;
    let current: Minted =
        service.registry.token(&newest.jwt, now).map_err(|refused| missing(refused.reason))?;
    match service.registry.refresh(&current, true, &service.settings(), now)? {
        Refreshed::Token(fresh) => {
            write_private(&file, fresh.jwt.as_bytes())?;
            Ok(fresh.facts)
        }
        Refreshed::AtHorizon => Err(missing("its session is at the horizon".into())),
        Refreshed::Gone => Err(missing("its session was forgotten".into())),
    }
}

impl Profiles {
    fn set(&self, profile: &str, token_file: &Path) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(profile.to_owned(), token_file.to_owned());
    }

    fn get(&self, profile: &str) -> Option<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(profile).cloned()
    }
}

/// The directory of one profile's files.
struct Files {
    dir: PathBuf,
}

impl Files {
    fn new(root: &Path, profile: &str) -> Result<Self, Error> {
        let failed =
            |error| Error::io(ErrorKind::File, format!("cannot make a profile in {}", root.display()), error);
        let sessions = root.join("sessions");
        std::fs::create_dir_all(&sessions).map_err(failed)?;
        let dir = sessions.canonicalize().map_err(failed)?.join(profile);
        std::fs::create_dir_all(&dir).map_err(failed)?;
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Self { dir })
    }

    fn key_file(&self) -> PathBuf {
        self.dir.join("oci_api_key.pem")
    }

    /// Public key first, then the private one, as the official tool does.
    fn write_keys(&self, key: &RsaPrivateKey) -> Result<(), Error> {
        let unencodable = |error: String| Error::new(ErrorKind::Key, format!("cannot encode a key: {error}"));
        let public =
            key.to_public_key().to_public_key_pem(LineEnding::LF).map_err(|e| unencodable(e.to_string()))?;
        let private = key.to_pkcs8_pem(LineEnding::LF).map_err(|e| unencodable(e.to_string()))?;
        write_private(&self.dir.join("oci_api_key_public.pem"), public.as_bytes())?;
        write_private(&self.key_file(), format!("{}{KEY_LABEL}", private.as_str()).as_bytes())
    }
}

/// Truncates and writes, mode 0600; not atomic, on purpose.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |error| Error::io(ErrorKind::File, format!("cannot write {}", path.display()), error);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)
}

/// Replaces a profile's section of the config file and leaves the others as they are.
fn write_section(dir: &Path, profile: &str, keys: &[(&str, String)]) -> Result<PathBuf, Error> {
    let path = dir.canonicalize().unwrap_or_else(|_| dir.to_owned()).join("config");
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Error::io(ErrorKind::File, format!("cannot read {}", path.display()), error));
        }
    };
    let title = format!("[{profile}]");
    let mut kept = String::new();
    let mut inside = false;
    for line in old.lines() {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == title;
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let mut text = kept.trim_end().to_owned();
    text.push_str("\n\n");
    text.push_str(&title);
    text.push('\n');
    for (key, value) in keys {
        text.extend([key, "=", value.as_str(), "\n"]);
    }
    write_private(&path, text.as_bytes())?;
    Ok(path)
}

fn private_key(pem: Option<&str>) -> Result<RsaPrivateKey, Error> {
    let Some(pem) = pem else { return new_key() };
    let end =
        pem.find("-----END PRIVATE KEY-----").map_or(pem.len(), |at| at + "-----END PRIVATE KEY-----".len());
    RsaPrivateKey::from_pkcs8_pem(pem[..end].trim())
        .map_err(|error| Error::new(ErrorKind::Key, format!("cannot read a PKCS#8 private key: {error}")))
}

fn fingerprint(key: &RsaPublicKey) -> Result<String, Error> {
    let der = key
        .to_public_key_der()
        .map_err(|error| Error::new(ErrorKind::Key, format!("cannot encode a public key: {error}")))?;
    let pairs: Vec<String> = Md5::digest(der.as_bytes()).iter().map(|byte| hex(&[*byte])).collect();
    Ok(pairs.join(":"))
}

fn check_name(profile: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    if profile.is_empty() || profile == "." || profile == ".." || !profile.chars().all(allowed) {
        let message = format!("{profile:?} is no profile name: letters, digits, '.', '_', '-' and '@'");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}
