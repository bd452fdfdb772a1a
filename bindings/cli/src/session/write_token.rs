//! `--write-token`: a file that always holds a fresh token, for tools that read it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use outlast_core::engine::credential::{Credential, Lease};
use outlast_core::engine::secret::Secret;

use crate::exit::{Code, Failure, Outcome};
use crate::words;

/// The file.
pub(super) struct TokenFile {
    path: PathBuf,
    written: Option<Secret<String>>,
}

impl TokenFile {
    /// At this path; nothing is written yet.
    pub(super) fn new(path: &Path) -> TokenFile {
        TokenFile { path: path.to_owned(), written: None }
    }

    /// Writes the lease's token unless it stands there already: temporary file, fsync, rename; for the owner alone.
    ///
    /// Errors: 1, when it cannot be written.
    pub(super) fn update(&mut self, lease: &Lease) -> Outcome {
        let token = match &lease.grant.credential {
            Credential::OciSession { token, .. } => token.clone(),
            other => other.bearer()?.token().clone(),
        };
        if self.written.as_ref() == Some(&token) {
            return Ok(());
        }
        self.replace(&token).map_err(|error| {
            let why = words::place_trouble(&error);
            Failure::new(
                Code::Failure,
                format!("the token cannot be written to {}: {why}", self.path.display()),
            )
        })?;
        self.written = Some(token);
        Ok(())
    }

    fn replace(&self, token: &Secret<String>) -> io::Result<()> {
        let name = self.path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = dir.join(format!(".{}.outlast.{}.tmp", name.to_string_lossy(), std::process::id()));
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file
            .write_all(token.expose().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        File::open(dir)?.sync_all()
    }
}
