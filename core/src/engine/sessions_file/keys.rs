//! Reading the keys of a section: each value is parsed or refused, and what nobody knows is refused by name.

use std::path::PathBuf;

use super::{Places, SecretRef, config};
use crate::engine::config::{ConfigFile, DEFAULT_PROFILE, Profile};
use crate::engine::error::Error;
use crate::engine::secret::Secret;
use crate::engine::wire::web::check_url;

/// A section being read.
pub(super) struct Keys<'a> {
    pub(super) profile: Profile<'a>,
    default: Option<Profile<'a>>,
    pub(super) places: Places<'a>,
}

impl<'a> Keys<'a> {
    pub(super) fn of(file: &'a ConfigFile, name: &str, places: Places<'a>) -> Result<Keys<'a>, Error> {
        Ok(Keys { profile: file.profile(name)?, default: file.find(DEFAULT_PROFILE), places })
    }

    /// Refuses keys that nobody knows; those inherited from `[DEFAULT]` may be for other sections.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Error> {
        for (key, value) in self.profile.entries() {
            let inherited = self.default.is_some_and(|default| default.get(key) == Some(value));
            if !known.contains(&key) && !inherited {
                let near = known.iter().find(|name| alike(name, key));
                let hint = near.map_or_else(String::new, |name| format!("; did you mean {name}?"));
                return Err(self.wrong(key, &format!("is no key of this kind of section{hint}")));
            }
        }
        Ok(())
    }

    /// An error about a key: section and line, never the value.
    pub(super) fn wrong(&self, key: &str, why: &str) -> Error {
        let line = self.profile.line(key).map_or_else(String::new, |line| format!("line {line}, "));
        config(format!("{line}[{:.70}]: {key:.60} {why}", self.profile.name()))
    }

    /// An error about something that is missing.
    pub(super) fn missing(&self, what: &str) -> Error {
        config(format!("[{:.70}] {what}", self.profile.name()))
    }

    /// A value; an empty one counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.profile.get(key).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if value.chars().any(char::is_control) {
            return Err(self.wrong(key, "must be one line without control characters"));
        }
        Ok(Some(value.to_owned()))
    }

    /// A value that goes into a header.
    pub(super) fn word(&self, key: &str) -> Result<Option<String>, Error> {
        let value = self.text(key)?;
        if value.as_deref().is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(self.wrong(key, "must be one word of ASCII signs"));
        }
        Ok(value)
    }

    pub(super) fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        accepted: &str,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        parse(value).map(Some).ok_or_else(|| self.wrong(key, &format!("is {accepted}")))
    }

    pub(super) fn url(&self, key: &str) -> Result<Option<String>, Error> {
        let Some(url) = self.get(key) else { return Ok(None) };
        check_url(url, self.places.allow_http)
            .map_err(|error| self.wrong(key, &format!("cannot be used: {}", error.message())))?;
        Ok(Some(url.to_owned()))
    }

    pub(super) fn path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        self.get(key).map(|text| self.path_of(key, text)).transpose()
    }

    pub(super) fn path_of(&self, key: &str, text: &str) -> Result<PathBuf, Error> {
        if text.chars().any(char::is_control) {
            return Err(self.wrong(key, "must be one line without control characters"));
        }
        match text.strip_prefix("~/") {
            Some(rest) => {
                let home = self
                    .places
                    .home
                    .ok_or_else(|| self.wrong(key, "has ~, and there is no home directory"))?;
                Ok(home.join(rest))
            }
            None => Ok(self.places.dir.join(text)),
        }
    }

    pub(super) fn command(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        self.parsed(
            key,
            super::split_words,
            "a program and its arguments, with quotes closed; no shell reads it",
        )
    }

    /// A secret: `NAME_file`, `NAME_env`, `NAME_command`, or `NAME` itself; exactly one of them.
    pub(super) fn secret(&self, name: &str) -> Result<Option<SecretRef>, Error> {
        let keys =
            [name.to_owned(), format!("{name}_file"), format!("{name}_env"), format!("{name}_command")];
        let given: Vec<&String> = keys.iter().filter(|key| self.get(key).is_some()).collect();
        if let [first, second, ..] = given.as_slice() {
            return Err(self.wrong(second, &format!("and {first} exclude each other")));
        }
        Ok(if let Some(value) = self.get(&keys[0]) {
            Some(SecretRef::Inline(Secret::new(value.to_owned())))
        } else if let Some(path) = self.path(&keys[1])? {
            Some(SecretRef::File(path))
        } else if let Some(name) = self.word(&keys[2])? {
            Some(SecretRef::Env(name))
        } else {
            self.command(&keys[3])?.map(SecretRef::Command)
        })
    }
}

/// Whether two keys differ by a slip of the fingers.
fn alike(known: &str, key: &str) -> bool {
    let bare = |text: &str| text.replace(['_', '-'], "");
    let (known, key) = (bare(known), bare(key));
    known == key || (known.len() > 4 && key.len() > 4 && (known.starts_with(&key) || key.starts_with(&known)))
}
