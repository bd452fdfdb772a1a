//! Defaults of flags from the rc file (`~/.oci/oci_cli_rc`).

use clap::{CommandFactory, Parser};
use outlast_core::engine::config::Settings;
use serde_json::{Map, Value};

use crate::args::{Cli, Command, PutArgs};
use crate::exit::Outcome;
use crate::json_input;
use crate::usage;

/// The command's name as the rc file spells it.
const COMMAND: &str = "os.object.put";

/// Fills in what the rc file says of flags that were not given.
///
/// Errors: usage, when a default is no value for its flag.
pub(crate) fn fill(args: &PutArgs, settings: &Settings) -> Outcome<PutArgs> {
    let cli = Cli::command();
    let put = cli.find_subcommand("put").expect("put is a command");
    let mut found = Map::new();
    for argument in put.get_arguments().filter(|argument| argument.get_action().takes_values()) {
        let Some(long) = argument.get_long() else { continue };
        let mut names = vec![long];
        names.extend(argument.get_all_aliases().unwrap_or_default());
        names.extend(match long {
            "namespace" => Some("ns"),
            "bucket-name" => Some("bn"),
            _ => None,
        });
        if let Some(value) = settings.rc_default(COMMAND, &names) {
            found.insert(long.to_owned(), Value::from(value));
        }
    }
    if found.is_empty() {
        return Ok(args.clone());
    }
    let list = json_input::expand(crate::argv::normalise(std::env::args_os()))?;
    let list = json_input::append(list, &found, "the file of defaults")?;
    match Cli::try_parse_from(&list).map_err(|error| usage::explain(&error, &list))?.command {
        Command::Put(filled) => Ok(*filled),
        _ => Ok(args.clone()),
    }
}
