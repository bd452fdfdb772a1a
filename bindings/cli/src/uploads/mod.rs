//! `outlast uploads`

mod abort;
mod entry;
mod list;

use crate::args::UploadsCommand;
use crate::exit::Outcome;

/// Runs one of the commands.
pub(crate) fn run(command: &UploadsCommand) -> Outcome {
    match command {
        UploadsCommand::List(args) => list::run(args),
        UploadsCommand::Abort(args) => abort::run(args),
    }
}
