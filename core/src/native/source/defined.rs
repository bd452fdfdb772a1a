//! From a session of the sessions file to its source.

use std::path::Path;
use std::sync::Arc;

use super::Source;
use super::command::CommandSource;
use super::file::FileSource;
use super::folio::Folio;
use super::kept::{Giver, Kept};
use super::oauth2::OAuth2;
use crate::engine::error::Error;
use crate::engine::sessions_file::{Kind, SessionDef};
use crate::native::vault::{Vault, VaultKey};

/// The session's source, with its place in the vault below `state_dir`. `key`: the caller's, instead of the one that the
/// file names. Nothing is read or sent yet.
///
/// Errors: `State` (no home directory for the vault's key).
pub fn source(
    def: &SessionDef,
    key: Option<VaultKey>,
    state_dir: &Path,
    allow_http: bool,
) -> Result<Arc<dyn Source>, Error> {
    let title = || format!("the session [{}]", def.name);
    Ok(match &def.kind {
        Kind::Command(command) => Arc::new(CommandSource::new(command.clone(), title())),
        Kind::File(file) => Arc::new(FileSource::new(file.path.clone(), title())),
        Kind::OAuth2(_) | Kind::Folio(_) => {
            Arc::new(kept(def, key, state_dir, allow_http)?.expect("these are kept in the vault"))
        }
    })
}

/// The session's source if its tokens are kept in the vault.
///
/// Errors: as [`source`].
pub fn kept(
    def: &SessionDef,
    key: Option<VaultKey>,
    state_dir: &Path,
    allow_http: bool,
) -> Result<Option<Kept>, Error> {
    let mut remedy = format!("sign in with `outlast login {}`", def.name);
    let giver = match &def.kind {
        Kind::OAuth2(oauth2) => {
            let provider = def.provider.clone();
            let client = OAuth2::new((**oauth2).clone(), provider.clone(), remedy.clone(), allow_http);
            Giver::OAuth2(Box::new(client))
        }
        Kind::Folio(folio) => {
            Giver::Folio(Box::new(Folio::new(folio.clone(), def.provider.clone(), remedy.clone())))
        }
        Kind::Command(_) | Kind::File(_) => return Ok(None),
    };
    if giver.mints() {
        remedy = format!("check the settings of [{}] in the sessions file", def.name);
    }
    let key = match key {
        Some(key) => key,
        None => VaultKey::of(&def.vault_key)?,
    };
    let vault = Vault::new(&def.name, state_dir, key)?;
    Ok(Some(Kept::new(def, Arc::new(giver), Arc::new(vault), remedy)))
}
