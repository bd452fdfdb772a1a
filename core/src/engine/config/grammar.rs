//! The grammar of `~/.oci/config` and `oci_cli_rc`: what any of the official tools reads, read the same way.
//!
//! - `[NAME]` begins a profile, names are case-sensitive; `[DEFAULT]` is inherited key by key by all others.
//! - `key = value` or `key: value`, whichever sign comes first; keys are case-insensitive, values trimmed; `%` is plain.
//! - Lines whose first sign is `#` or `;` are comments; there are no comments behind values.
//! - A line indented deeper than its key continues the value (joined by a line feed).
//! - The same profile or key twice, a setting before the first profile and a line without separator are errors.
//! - A byte order mark and CRLF line ends are read over.
//!
//! Compared with Python's `configparser` on 30,000 random texts; on purpose different: profile names are trimmed, a line
//! that begins with `[` and has no `]` is an error (there it is a key), blank lines inside a continued value are dropped.
//!
//! Errors name the line, never its content: a mislaid line may be a key or a passphrase.
//! Source: `oci.md` section 1.2.

use std::fmt;

use zeroize::Zeroizing;

use crate::engine::error::{Error, ErrorKind};

/// The profile that all others inherit from.
pub const DEFAULT_PROFILE: &str = "DEFAULT";

/// Longest file that is read, bytes; a thousand profiles have half of it.
const MAX_BYTES: usize = 1 << 20;

/// A parsed file.
pub struct ConfigFile {
    sections: Vec<Section>,
}

struct Section {
    name: String,
    line: usize,
    entries: Vec<Entry>,
}

struct Entry {
    key: String,
    /// Zeroised: it may be a passphrase.
    value: Zeroizing<String>,
    line: usize,
}

impl Section {
    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// One profile of a file, with what it inherits.
#[derive(Clone, Copy)]
pub struct Profile<'a> {
    name: &'a str,
    own: &'a Section,
    inherited: Option<&'a Section>,
}

impl ConfigFile {
    /// Parses a file's text.
    ///
    /// Errors: `Config`, beginning with the line's number (from 1). Never panics.
    pub fn parse(text: &str) -> Result<ConfigFile, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::new(
                ErrorKind::Config,
                "the file is longer than 1 MiB; it can hardly be a configuration",
            ));
        }
        let mut reader = Reader { sections: Vec::new(), current: None, indent: 0 };
        for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            reader.line(index + 1, line)?;
        }
        Ok(ConfigFile { sections: reader.sections })
    }

    /// Names of all profiles in the order of the file.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.name.as_str())
    }

    /// A profile by its exact name, if the file has it.
    pub fn find(&self, name: &str) -> Option<Profile<'_>> {
        let section = |name: &str| self.sections.iter().find(|section| section.name == name);
        let own = section(name)?;
        Some(Profile { name: &own.name, own, inherited: section(DEFAULT_PROFILE) })
    }

    /// A profile by its exact name.
    ///
    /// Errors: `Config`, naming the profiles that there are.
    pub fn profile(&self, name: &str) -> Result<Profile<'_>, Error> {
        self.find(name).ok_or_else(|| {
            let name: String = name.chars().take(60).collect();
            let alike = self.profiles().find(|other| other.eq_ignore_ascii_case(&name));
            let known: Vec<&str> = self.profiles().take(20).collect();
            let hint = match alike {
                Some(alike) => format!("names are case-sensitive and the file has [{alike}]"),
                None if known.is_empty() => "the file has no profile at all".to_owned(),
                None => format!("the file has {}", known.join(", ")),
            };
            Error::new(ErrorKind::Config, format!("there is no profile [{name}]; {hint}"))
        })
    }
}

/// Shows names only: values may be secrets.
impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.profiles()).finish()
    }
}

impl<'a> Profile<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value of a key (lower case), own or inherited.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.entry(key).map(|entry| entry.value.as_str())
    }

    /// The line on which [`Profile::get`]'s value begins.
    pub fn line(&self, key: &str) -> Option<usize> {
        self.entry(key).map(|entry| entry.line)
    }

    /// All keys with their values, own and inherited, each key once.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self.own;
        let inherited = self.inherited.into_iter().filter(move |section| !std::ptr::eq(*section, own));
        let inherited = inherited.flat_map(|section| section.entries.iter());
        let unset = move |entry: &&Entry| own.entry(&entry.key).is_none();
        own.entries
            .iter()
            .chain(inherited.filter(unset))
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.own.entry(key).or_else(|| self.inherited?.entry(key))
    }
}

/// Shows the name only: values may be secrets.
impl fmt::Debug for Profile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

/// Where the text stands.
struct Reader {
    sections: Vec<Section>,
    /// Index of the section that is being read, and whether its last key can be continued.
    current: Option<(usize, bool)>,
    /// Indentation of the last line that was not a continuation.
    indent: usize,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if let Some((section, true)) = self.current
            && indent > self.indent
            && let Some(entry) = self.sections[section].entries.last_mut()
        {
            entry.value.push('\n');
            entry.value.push_str(text);
            return Ok(());
        }
        self.indent = indent;
        match text.strip_prefix('[') {
            Some(rest) => self.header(number, rest),
            None => self.setting(number, text),
        }
    }

    fn header(&mut self, number: usize, rest: &str) -> Result<(), Error> {
        // The last bracket counts, what stands behind it does not: as the official reader has it.
        let (name, _) =
            rest.rsplit_once(']').ok_or_else(|| at(number, "the \"]\" of the profile name is missing"))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(at(number, "the profile name is empty"));
        }
        if let Some(index) = self.sections.iter().position(|section| section.name == name) {
            if name != DEFAULT_PROFILE {
                let first = self.sections[index].line;
                return Err(at(number, &format!("profile [{name:.60}] is there already (line {first})")));
            }
            self.current = Some((index, false));
            return Ok(());
        }
        self.sections.push(Section { name: name.to_owned(), line: number, entries: Vec::new() });
        self.current = Some((self.sections.len() - 1, false));
        Ok(())
    }

    fn setting(&mut self, number: usize, text: &str) -> Result<(), Error> {
        let Some((key, value)) = text.split_once(['=', ':']) else {
            return Err(at(number, "this is neither \"key = value\" nor \"[profile]\""));
        };
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return Err(at(number, "the key before the \"=\" or \":\" is missing"));
        }
        let Some((index, _)) = self.current else {
            return Err(at(number, "a setting stands before the first [profile]"));
        };
        let section = &mut self.sections[index];
        if let Some(first) = section.entry(&key) {
            let message = format!(
                "\"{key:.60}\" is set twice in [{:.60}] (first in line {})",
                section.name, first.line
            );
            return Err(at(number, &message));
        }
        section.entries.push(Entry { key, value: Zeroizing::new(value.trim().to_owned()), line: number });
        self.current = Some((index, true));
        Ok(())
    }
}

fn at(line: usize, message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("line {line}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::Random;

    fn parse(text: &str) -> ConfigFile {
        ConfigFile::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn reads_what_the_official_tools_read() {
        let file = parse(
            "\u{feff}# comment\r\n; another\r\n\r\n[DEFAULT]\r\nUser = u1 \r\nregion: r = 1 # no comment\r\n\
             pass_phrase=%(x)s=:%%\r\n\r\n[ A.b-1@x ] trailing\r\n   region=r2\r\n   Empty =\r\n[c]d]\r\nx=1\r\n",
        );
        assert_eq!(file.profiles().collect::<Vec<_>>(), ["DEFAULT", "A.b-1@x", "c]d"]);
        let default = file.profile("DEFAULT").unwrap();
        assert_eq!(default.get("user"), Some("u1"));
        assert_eq!(default.get("region"), Some("r = 1 # no comment"));
        assert_eq!(default.get("pass_phrase"), Some("%(x)s=:%%"));
        assert_eq!(default.line("region"), Some(6));
        let other = file.profile("A.b-1@x").unwrap();
        assert_eq!((other.get("region"), other.line("region")), (Some("r2"), Some(10)));
        assert_eq!((other.get("user"), other.line("user")), (Some("u1"), Some(5)));
        assert_eq!((other.get("empty"), other.get("x")), (Some(""), None));
        let entries: Vec<_> = other.entries().collect();
        assert_eq!(entries, [("region", "r2"), ("empty", ""), ("user", "u1"), ("pass_phrase", "%(x)s=:%%")]);
        assert_eq!(default.entries().count(), 3);
    }

    #[test]
    fn deeper_lines_continue_the_value() {
        let file =
            parse("[A]\nquery =\n  one\n\n  # not this\n\ttwo = 2\n[B]\n    x = 1\n    y = 2\n     z\n");
        assert_eq!(file.profile("A").unwrap().get("query"), Some("\none\ntwo = 2"));
        let b = file.profile("B").unwrap();
        assert_eq!((b.get("x"), b.get("y")), (Some("1"), Some("2\nz")));
        // DEFAULT may come again; its keys may not.
        let file = parse("[DEFAULT]\na=1\n[B]\nb=2\n[DEFAULT]\nc=3");
        assert_eq!(file.profile("B").unwrap().get("c"), Some("3"));
    }

    #[test]
    fn broken_files_get_the_line_and_no_content() {
        let secret = "hunter2";
        for (text, expected) in [
            (format!("{secret}=1\n"), "line 1: a setting stands before the first [profile]"),
            (format!("[A]\n\nx=1\n{secret}\n"), "line 4: this is neither \"key = value\" nor \"[profile]\""),
            (format!("[A\nx={secret}"), "line 1: the \"]\" of the profile name is missing"),
            (format!("[ ]\nx={secret}"), "line 1: the profile name is empty"),
            (format!("[A]\n = {secret}"), "line 2: the key before the \"=\" or \":\" is missing"),
            (format!("[A]\nx=1\n[B]\n[A]\nx={secret}"), "line 4: profile [A] is there already (line 1)"),
            (format!("[A]\nKey=1\n#\nkey={secret}"), "line 4: \"key\" is set twice in [A] (first in line 2)"),
            (
                format!("[DEFAULT]\nx=1\n[A]\n[DEFAULT]\nx={secret}"),
                "line 5: \"x\" is set twice in [DEFAULT] (first in line 2)",
            ),
            ("x".repeat(MAX_BYTES + 1), "the file is longer than 1 MiB; it can hardly be a configuration"),
        ] {
            let error = ConfigFile::parse(&text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn missing_profiles_are_named_with_what_is_there() {
        let message = |text: &str, name: &str| parse(text).profile(name).unwrap_err().to_string();
        assert_eq!(message("[A]\n[B]\n", "C"), "there is no profile [C]; the file has A, B");
        assert_eq!(
            message("[default]\n", "DEFAULT"),
            "there is no profile [DEFAULT]; names are case-sensitive and the file has [default]"
        );
        assert_eq!(message("# nothing\n", "A"), "there is no profile [A]; the file has no profile at all");
    }

    #[test]
    fn nothing_is_shown_of_the_values() {
        let file = parse("[A]\npass_phrase=hunter2\n");
        assert_eq!(format!("{file:?} {:?}", file.profile("A").unwrap()), "[\"A\"] [A]");
    }

    #[test]
    fn any_text_is_read_or_refused_never_a_panic() {
        const PIECES: [&str; 14] =
            ["[", "]", "A", "DEFAULT", "=", ":", " ", "\t", "\n", "\r\n", "#", ";", "ü\u{2003}", "key"];
        let mut random = Random::new(5);
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let text: String =
                (0..random.below(24)).map(|_| PIECES[usize::try_from(random.below(14)).unwrap()]).collect();
            match ConfigFile::parse(&text) {
                Ok(file) => {
                    read += 1;
                    for name in file.profiles() {
                        let profile = file.profile(name).unwrap();
                        for (key, value) in profile.entries() {
                            assert_eq!(profile.get(key), Some(value));
                            assert!(!key.is_empty() && key.trim() == key, "{text:?}");
                        }
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(read > 1000 && refused > 1000, "{read} {refused}");
    }
}
