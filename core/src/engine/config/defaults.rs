//! The official command line's file of flag defaults (`oci_cli_rc`).

use std::collections::BTreeMap;
use std::path::Path;

use super::files::Surroundings;
use super::grammar::{ConfigFile, DEFAULT_PROFILE};
use crate::engine::error::{Error, ErrorKind};

/// The defaults of one profile, `$NAME` and `${NAME}` replaced from the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    values: BTreeMap<String, String>,
}

/// Finds the file: `flag`, else `OCI_CLI_RC_FILE`, which must exist; else `~/.oci/oci_cli_rc`, else `~/.oci/cli-defaults`.
pub(super) fn find(flag: Option<&Path>, around: &Surroundings<'_>) -> Result<Option<ConfigFile>, Error> {
    let default = around.path(Path::new("~/.oci/oci_cli_rc"));
    let named = flag.map(|path| around.path(path)).filter(|path| *path != default);
    let named =
        named.or_else(|| around.variable("OCI_CLI_RC_FILE").map(|path| around.path(Path::new(&path))));
    if let Some(path) = named.filter(|path| *path != default) {
        let missing = || {
            Error::new(ErrorKind::Config, format!("the file of defaults {} does not exist", path.display()))
        };
        return around.config(&path)?.ok_or_else(missing).map(Some);
    }
    match around.config(&default)? {
        Some(file) => Ok(Some(file)),
        None => around.config(&around.path(Path::new("~/.oci/cli-defaults"))),
    }
}

/// The profile that the file makes the default one.
pub(super) fn default_profile(file: &ConfigFile) -> Option<String> {
    let name = file.find("OCI_CLI_SETTINGS")?.get("default_profile")?;
    (!name.is_empty()).then(|| name.to_owned())
}

impl Defaults {
    /// The section of `profile`. A profile without one has no defaults, not those of `[DEFAULT]`.
    pub(super) fn of(file: &ConfigFile, profile: &str, around: &Surroundings<'_>) -> Defaults {
        let Some(section) = file.find(profile) else { return Defaults::default() };
        let expanded =
            section.entries().map(|(key, value)| (key.to_owned(), expand_variables(value, around)));
        Defaults { values: expanded.filter(|(_, value)| !value.is_empty()).collect() }
    }

    /// A global flag's default.
    pub(super) fn flag(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The default of one of `names` (the spellings of a flag) for `command` (`os.object.put`): the most specific wins.
    pub(super) fn option(&self, command: &str, names: &[&str]) -> Option<&str> {
        let mut scope = Some(command);
        while let Some(prefix) = scope {
            let found = names.iter().find_map(|name| self.flag(&format!("{prefix}.{name}").to_lowercase()));
            if found.is_some() {
                return found;
            }
            scope = prefix.rsplit_once('.').map(|(parent, _)| parent);
        }
        names.iter().find_map(|name| self.flag(&name.to_lowercase()))
    }
}

/// Replaces `$NAME` and `${NAME}`; names that are not set stay as they are, as the official command line has it.
fn expand_variables(text: &str, around: &Surroundings<'_>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let bare = after.split(|c| !in_name(c)).next().unwrap_or_default();
        let (name, length) = braced.map_or((bare, bare.len()), |(name, _)| (name, name.len() + 2));
        let kept = &text[text.len() - after.len() - 1..][..=length];
        let value = (around.env)(name).filter(|_| !name.is_empty());
        expanded.push_str(value.as_deref().unwrap_or(kept));
        rest = &after[length..];
    }
    expanded + rest
}

/// The profile to use: `flag`, else `OCI_CLI_PROFILE`, else the file's own choice, else `DEFAULT`.
pub(super) fn profile_name(
    flag: Option<&str>,
    file: Option<&ConfigFile>,
    around: &Surroundings<'_>,
) -> String {
    let flag = flag.filter(|name| !name.is_empty()).map(str::to_owned);
    flag.or_else(|| around.variable("OCI_CLI_PROFILE"))
        .or_else(|| file.and_then(default_profile))
        .unwrap_or_else(|| DEFAULT_PROFILE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/h".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_expanded_once() {
        let around = Surroundings { env: &env, read: &|_| Ok(None), home: None };
        for (text, expected) in [
            ("$HOME/x", "/h/x"),
            ("a${HOME}b$HOME", "a/hb/h"),
            ("$UNSET ${UNSET} $", "$UNSET ${UNSET} $"),
            ("${HOME", "${HOME"),
            ("$$HOME", "$/h"),
            ("$EMPTY.", "."),
            ("${} $ü", "${} $ü"),
            ("plain", "plain"),
        ] {
            assert_eq!(expand_variables(text, &around), expected, "{text}");
        }
    }

    #[test]
    fn the_most_specific_default_wins() {
        let text = "[OCI_CLI_SETTINGS]\ndefault_profile=P\n[DEFAULT]\nregion=fra\nauth=api_key\n\
                    [P]\nbucket-name=top\nos.bucket-name=os\nos.object.put.bn=put\nauth=security_token\nempty=\n[OTHER]\n";
        let file = ConfigFile::parse(text).unwrap();
        let around = Surroundings { env: &env, read: &|_| Ok(None), home: None };
        let defaults = Defaults::of(&file, "P", &around);
        let names = ["bucket-name", "bn"];
        assert_eq!(defaults.option("os.object.put", &names), Some("put"));
        assert_eq!(defaults.option("os.object.resume-put", &names), Some("os"));
        assert_eq!(defaults.option("iam", &names), Some("top"));
        assert_eq!(defaults.option("os.object.put", &["namespace"]), None);
        assert_eq!((defaults.flag("auth"), defaults.flag("region")), (Some("security_token"), Some("fra")));
        assert_eq!(defaults.flag("empty"), None);
        assert_eq!(Defaults::of(&file, "OTHER", &around).flag("auth"), Some("api_key"));
        assert_eq!(Defaults::of(&file, "MISSING", &around).flag("auth"), None);
        assert_eq!(profile_name(None, Some(&file), &around), "P");
        assert_eq!(profile_name(Some("Q"), Some(&file), &around), "Q");
        assert_eq!(profile_name(None, None, &around), "DEFAULT");
        let with_env = |name: &str| (name == "OCI_CLI_PROFILE").then(|| "E".to_owned());
        assert_eq!(profile_name(None, Some(&file), &Surroundings { env: &with_env, ..around }), "E");
    }

    #[test]
    fn a_named_file_must_exist() {
        let read = |path: &Path| {
            Ok((path == Path::new("/h/.oci/cli-defaults")).then(|| "[DEFAULT]\nx=1\n".to_owned()))
        };
        let around = Surroundings { env: &env, read: &read, home: Some(Path::new("/h")) };
        assert!(find(None, &around).unwrap().is_some());
        let error = find(Some(Path::new("~/rc")), &around).unwrap_err();
        assert_eq!(error.to_string(), "the file of defaults /h/rc does not exist");
    }
}
