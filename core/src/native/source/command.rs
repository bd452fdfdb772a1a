//! A program that prints a credential, as `credential_process` does: started without a shell, limited in time and output.

use super::{Abilities, Source, Wire, document};
use crate::engine::command::{ExchangeClass, ExchangeFailure};
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind, Retry};
use crate::engine::sessions_file::CommandDef;
use crate::native::{clock, run};

/// A program.
#[derive(Debug)]
pub struct CommandSource {
    def: CommandDef,
    title: String,
}

impl CommandSource {
    /// `title` for messages, for example `the session [lab]`.
    pub fn new(def: CommandDef, title: String) -> CommandSource {
        CommandSource { def, title }
    }
}

impl Source for CommandSource {
    fn abilities(&self) -> Abilities {
        let program = self.def.argv.first().cloned().unwrap_or_default();
        Abilities {
            title: self.title.clone(),
            remedy: format!("see what {program} says"),
            // It may keep what it has given, and give another when it likes.
            mints: true,
            can_sign_in: true,
            ..Abilities::default()
        }
    }

    fn load(&self) -> Result<Option<Grant>, Error> {
        Ok(None)
    }

    fn exchange(&self, held: Option<&Grant>, _wire: &Wire<'_>) -> Result<Grant, ExchangeFailure> {
        let failure = |class, error| ExchangeFailure { class, error, retry_after: None };
        let output = run::output(&self.def.argv, self.def.timeout).map_err(|error| match error.kind() {
            ErrorKind::Config => failure(ExchangeClass::Misconfigured, error),
            // It may need a network or a person; it is asked again later.
            _ => failure(ExchangeClass::Transient, error.with_retry(Retry::Later(None))),
        })?;
        let program = self.def.argv.first().map_or("the program", String::as_str);
        let grant = document::read(&output, clock::wall()).map_err(|error| {
            failure(
                ExchangeClass::Misconfigured,
                error.during(&format!("what {program} prints is no credential")),
            )
        })?;
        // The end is the program's word; a program that gives the same token again has no better one.
        let _ = held;
        Ok(grant)
    }
}
