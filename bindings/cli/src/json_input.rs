//! JSON given on the command line or by `file://`, and `--from-json`: values for flags that are not given.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};
use serde_json::{Map, Value};

use crate::args::Cli;
use crate::exit::{Failure, Outcome};
use crate::words;

/// Longest JSON file that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Reads a JSON object from a flag's value: `file://PATH`, or the text itself.
///
/// Errors: usage, naming the flag.
pub(crate) fn object(flag: &str, value: &str) -> Outcome<Map<String, Value>> {
    let text = match value.strip_prefix("file://") {
        None => value.to_owned(),
        Some(path) => read(flag, &home(path))?,
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::usage(format!("{flag} is JSON but no object; write {{\"name\": \"value\"}}"))),
        Err(error) => Err(Failure::usage(format!(
            "{flag} is no JSON: {error}; write {{\"name\": \"value\"}} or file://PATH"
        ))),
    }
}

fn read(flag: &str, path: &Path) -> Outcome<String> {
    let failed = |why: String| Failure::usage(format!("{flag}: {} cannot be read: {why}", path.display()));
    let facts = std::fs::metadata(path).map_err(|error| failed(words::trouble(&error)))?;
    if facts.len() > MOST_BYTES {
        return Err(failed(format!("it is larger than {MOST_BYTES} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(words::trouble(&error)))
}

/// A path with a leading `~/` led home.
pub(crate) fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Appends what `--from-json` says to the arguments of `put`, unless they say it themselves.
///
/// Errors: usage: unreadable JSON, unknown keys, values that are no value.
pub(crate) fn expand(list: Vec<OsString>) -> Outcome<Vec<OsString>> {
    if list.get(1).is_none_or(|command| command != "put") {
        return Ok(list);
    }
    let Some(source) = value_of(&list, "--from-json") else { return Ok(list) };
    append(list, &object("--from-json", &source)?, "--from-json")
}

/// Appends flags of `put` and their values unless the arguments have them; `origin` is named in errors.
pub(crate) fn append(
    mut list: Vec<OsString>,
    given: &Map<String, Value>,
    origin: &str,
) -> Outcome<Vec<OsString>> {
    let cli = Cli::command();
    let put = cli.find_subcommand("put").expect("put is a command");
    let mut more = Vec::new();
    for (key, value) in given {
        let name = kebab(key);
        let argument = put.get_arguments().find(|argument| is_named(argument, &name) && name != "from-json");
        let argument =
            argument.ok_or_else(|| Failure::usage(format!("{origin}: put has no flag for \"{key}\"")))?;
        if !is_given(put, &list, argument) {
            more.extend(flag(argument, key, value, origin)?);
        }
    }
    list.extend(more);
    Ok(list)
}

/// `--flag=value` for a key, or nothing for `null` and `false`.
fn flag(argument: &Arg, key: &str, value: &Value, origin: &str) -> Outcome<Option<OsString>> {
    let long = argument.get_long().unwrap_or_default();
    let takes_value = !matches!(argument.get_action(), ArgAction::SetTrue);
    let text = match value {
        Value::Null => return Ok(None),
        Value::Bool(on) if !takes_value => return Ok(on.then(|| format!("--{long}").into())),
        Value::String(text) if takes_value => text.clone(),
        Value::Number(number) if takes_value => number.to_string(),
        Value::Object(_) if long == "metadata" => value.to_string(),
        _ => {
            let wanted = if takes_value { "a text or a number" } else { "true or false" };
            return Err(Failure::usage(format!("{origin}: \"{key}\" must be {wanted}")));
        }
    };
    Ok(Some(format!("--{long}={text}").into()))
}

/// `partSize` and `part-size` are both `part-size`.
fn kebab(key: &str) -> String {
    let mut name = String::new();
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn is_named(argument: &Arg, name: &str) -> bool {
    argument.get_long() == Some(name) || argument.get_all_aliases().unwrap_or_default().contains(&name)
}

fn is_given(put: &Command, list: &[OsString], argument: &Arg) -> bool {
    flags(put, list).iter().any(|(name, _)| is_named(argument, name))
}

fn value_of(list: &[OsString], flag: &str) -> Option<String> {
    let cli = Cli::command();
    let put = cli.find_subcommand("put")?;
    flags(put, list).into_iter().find(|(name, _)| *name == flag[2..]).map(|(_, value)| value)
}

/// The long flags among the arguments, with their values.
fn flags(put: &Command, list: &[OsString]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = list.iter().skip(2).map(|argument| argument.to_string_lossy());
    while let Some(text) = rest.next() {
        let Some(flag) = text.strip_prefix("--").filter(|flag| !flag.is_empty()) else { continue };
        if let Some((name, value)) = flag.split_once('=') {
            found.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let takes_value = put
            .get_arguments()
            .any(|argument| is_named(argument, flag) && argument.get_action().takes_values());
        let value = if takes_value { rest.next().unwrap_or_default().into_owned() } else { String::new() };
        found.push((flag.to_owned(), value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &[&str]) -> Result<Vec<String>, String> {
        let list = ["outlast", "put"].iter().chain(arguments).map(OsString::from).collect();
        let list = expand(list).map_err(|failure| failure.to_string())?;
        Ok(list
            .into_iter()
            .skip(2 + arguments.len())
            .map(|word| word.to_string_lossy().into_owned())
            .collect())
    }

    #[test]
    fn the_command_line_wins() {
        let json = r#"{"bucketName": "b", "part-size": 10, "force": true, "noMultipart": false, "name": null,
            "namespaceName": "ns", "metadata": {"k": "v"}, "profile": "LAB"}"#;
        let flags = expanded(&["--from-json", json, "--profile", "MINE"]).expect("good JSON");
        assert_eq!(
            flags,
            ["--bucket-name=b", "--force", "--metadata={\"k\":\"v\"}", "--namespace=ns", "--part-size=10"]
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for json in [
            "[]",
            "{",
            "{\"fromJson\": \"{}\"}",
            "{\"colour\": 1}",
            "{\"force\": 1}",
            "{\"file\": [1]}",
            "file:///nowhere",
        ] {
            assert!(expanded(&["--from-json", json]).is_err(), "{json}");
        }
    }
}
