//! What clap cannot say about the command line: short flags of two letters, flags before the command, and the
//! official spelling of the command.

use std::ffi::{OsStr, OsString};

use clap::{Command, CommandFactory};

use crate::args::Cli;

/// Two-letter short flags of the official command line.
const PAIRS: [(&str, &str); 2] = [("-ns", "--namespace"), ("-bn", "--bucket-name")];

/// The arguments in the form clap takes: `-ns X`, `-bn=X` and `-bnX` as long flags, `-?` as `-h`, flags in front of the
/// command moved behind it, and `os object put` as `put`.
pub(crate) fn normalise(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| "outlast".into());
    let mut list = expand(arguments);
    move_command_first(&mut list);
    let official = ["os", "object", "put"];
    if list.len() >= 3 && list.iter().zip(official).all(|(have, name)| have == name) {
        list.drain(..2);
    }
    list.insert(0, program);
    list
}

fn expand(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut list = Vec::new();
    let mut flags_over = false;
    let mut value_next = false;
    let valued = valued_flags();
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        if flags_over || value_next {
            value_next = false;
            list.push(argument);
            continue;
        }
        flags_over = text == "--";
        if text == "-?" {
            list.push("-h".into());
            continue;
        }
        if let Some((pair, long)) = PAIRS.into_iter().find(|(pair, _)| text.starts_with(pair)) {
            match text[pair.len()..].strip_prefix('=').unwrap_or(&text[pair.len()..]) {
                "" if text.len() == pair.len() => {
                    list.push(long.into());
                    value_next = true;
                }
                value => list.push(format!("{long}={value}").into()),
            }
            continue;
        }
        value_next = valued.iter().any(|flag| flag == text);
        list.push(argument);
    }
    list
}

/// Moves what stands in front of the command behind it: the official command line has its global flags there.
fn move_command_first(list: &mut [OsString]) {
    let valued = valued_flags();
    let mut at = 0;
    while let Some(text) = list.get(at).map(|argument| argument.to_str().unwrap_or_default()) {
        if !text.starts_with('-') || text == "--" {
            break;
        }
        if matches!(text, "-h" | "--help" | "-V" | "--version") {
            return;
        }
        at += if valued.iter().any(|flag| flag == text) { 2 } else { 1 };
    }
    if at == 0 || at >= list.len() {
        return;
    }
    let words = words_of_command(&list[at..]);
    list.rotate_left(at);
    let end = list.len() - at;
    // Now: command, its own arguments, then the leading flags; bring these directly behind the command's words.
    list[words..].rotate_right(at);
    debug_assert!(end + at == list.len());
}

/// How many of the first arguments name the command (`put`, `session show`, `os object put`).
fn words_of_command(list: &[OsString]) -> usize {
    let words = match list.first().and_then(|word| word.to_str()) {
        Some("os") => 3,
        Some("session" | "uploads") => 2,
        _ => 1,
    };
    words.min(list.iter().take_while(|word| !starts_with_dash(word)).count()).max(1)
}

fn starts_with_dash(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().first() == Some(&b'-')
}

/// All flags, of any command, whose next argument is their value.
fn valued_flags() -> Vec<String> {
    fn collect(command: &Command, flags: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let names = argument.get_long_and_visible_aliases().unwrap_or_default();
            let hidden = argument.get_all_aliases().unwrap_or_default();
            flags.extend(names.into_iter().chain(hidden).map(|name| format!("--{name}")));
        }
        for sub in command.get_subcommands() {
            collect(sub, flags);
        }
    }
    let mut flags = Vec::new();
    collect(&Cli::command(), &mut flags);
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let words = std::iter::once("outlast").chain(text.split(' ')).map(OsString::from);
        let list: Vec<String> =
            normalise(words).into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        list.join(" ")
    }

    #[test]
    fn two_letter_flags_become_long() {
        assert_eq!(normal("put -ns a -bn b"), "put --namespace a --bucket-name b");
        assert_eq!(normal("put -bn=b -nsa"), "put --bucket-name=b --namespace=a");
        assert_eq!(normal("put --name -bn -bn b"), "put --name -bn --bucket-name b");
        assert_eq!(normal("put -bn -ns"), "put --bucket-name -ns");
        assert_eq!(normal("put -bn= -?"), "put --bucket-name= -h");
        assert_eq!(normal("put -- -bn"), "put -- -bn");
    }

    #[test]
    fn global_flags_may_come_first() {
        assert_eq!(normal("--profile LAB put --file f"), "put --profile LAB --file f");
        assert_eq!(
            normal("--auth security_token --debug os object put -bn b"),
            "put --auth security_token --debug --bucket-name b"
        );
        assert_eq!(normal("--profile LAB session show"), "session show --profile LAB");
        assert_eq!(normal("--region=fra put"), "put --region=fra");
        assert_eq!(normal("--help put"), "--help put");
        assert_eq!(normal("--profile"), "--profile");
    }

    #[test]
    fn the_official_spelling_is_understood() {
        assert_eq!(normal("os object put --file f"), "put --file f");
        assert_eq!(normal("os object get"), "os object get");
    }
}
