//! Finding and reading the configuration files, through the caller's eyes.

use std::path::{Path, PathBuf};

use super::grammar::ConfigFile;
use crate::engine::error::{Error, ErrorKind};

/// What a process sees around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The value of an environment variable, if it is set and readable as text.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file; `Ok(None)` if there is none. An error says in words why it cannot be read, without the path.
    pub read: &'a dyn Fn(&Path) -> Result<Option<String>, Error>,
    /// The user's home directory, for `~`.
    pub home: Option<&'a Path>,
}

impl Surroundings<'_> {
    /// An environment variable; empty ones count as unset.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// A variable that switches something on.
    pub(super) fn switched_on(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| is_true(&value))
    }

    pub(super) fn path(&self, path: &Path) -> PathBuf {
        expand_home(path, self.home)
    }

    /// Reads a file whose path is expanded already; errors name it.
    pub(super) fn text(&self, path: &Path) -> Result<Option<String>, Error> {
        (self.read)(path).map_err(|error| error.during(&path.display().to_string()))
    }

    pub(super) fn config(&self, path: &Path) -> Result<Option<ConfigFile>, Error> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        ConfigFile::parse(&text).map(Some).map_err(|error| error.during(&path.display().to_string()))
    }
}

/// What the official tools take for "yes" in files and variables.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
}

/// Replaces a leading `~` by the home directory. `~name` (another user's home) and paths without `~` stay as they are;
/// relative paths stay relative to the working directory, as with the official tools.
pub fn expand_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => home.to_owned(),
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// The configuration file: its path and what is in it.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) file: Option<ConfigFile>,
}

/// Finds the configuration file.
///
/// `flag`, else `OCI_CLI_CONFIG_FILE`, when it is not the default path: that file, which must exist. Else the default if
/// it exists, else `OCI_CONFIG_FILE` (a fallback, not an override), else `~/.oraclebmc/config`, else none.
/// Source: `oci.md` section 1.1.
pub(super) fn find_config(flag: Option<&Path>, around: &Surroundings<'_>) -> Result<Found, Error> {
    let default = around.path(Path::new("~/.oci/config"));
    // The official command line takes the variable also when the flag repeats the default.
    let named = flag.map(|path| around.path(path)).filter(|path| *path != default);
    let named =
        named.or_else(|| around.variable("OCI_CLI_CONFIG_FILE").map(|path| around.path(Path::new(&path))));
    if let Some(path) = named.filter(|path| *path != default) {
        let file = around.config(&path)?;
        if file.is_none() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the configuration file {} does not exist", path.display()),
            ));
        }
        return Ok(Found { path, file });
    }
    if let Some(file) = around.config(&default)? {
        return Ok(Found { path: default, file: Some(file) });
    }
    let fallbacks = [around.variable("OCI_CONFIG_FILE"), Some("~/.oraclebmc/config".to_owned())];
    for fallback in fallbacks.into_iter().flatten() {
        let path = around.path(Path::new(&fallback));
        if let Some(file) = around.config(&path)? {
            return Ok(Found { path, file: Some(file) });
        }
    }
    Ok(Found { path: default, file: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tildes_are_expanded_and_relative_paths_stay() {
        let home = Path::new("/home/u");
        for (path, expected) in [
            ("~", "/home/u"),
            ("~/", "/home/u"),
            ("~/.oci/config", "/home/u/.oci/config"),
            ("~other/x", "~other/x"),
            ("./lab/token", "./lab/token"),
            ("lab/~/x", "lab/~/x"),
            ("/etc/x", "/etc/x"),
            ("", ""),
        ] {
            assert_eq!(expand_home(Path::new(path), Some(home)), Path::new(expected), "{path}");
        }
        assert_eq!(expand_home(Path::new("~/x"), None), Path::new("~/x"));
    }

    #[test]
    fn the_first_file_in_the_official_order_is_taken() {
        let all = ["/h/.oci/config", "/env", "/cli", "/flag", "/h/.oraclebmc/config"];
        for (flag, cli, fallback, exist, expected) in [
            (Some("/flag"), Some("/cli"), Some("/env"), &all[..], Ok(Some("/flag"))),
            (None, Some("/cli"), Some("/env"), &all, Ok(Some("/cli"))),
            (Some("~/.oci/config"), Some("/cli"), None, &all, Ok(Some("/cli"))),
            (None, Some(""), Some("/env"), &all, Ok(Some("/h/.oci/config"))),
            (None, Some("~/.oci/config"), Some("/env"), &all[1..], Ok(Some("/env"))),
            (None, None, Some("/env"), &all, Ok(Some("/h/.oci/config"))),
            (None, None, Some("/env"), &all[1..], Ok(Some("/env"))),
            (None, None, Some("/gone"), &all[4..], Ok(Some("/h/.oraclebmc/config"))),
            (None, None, None, &[], Ok(None)),
            (Some("/gone"), Some("/cli"), None, &all, Err("the configuration file /gone does not exist")),
            (None, Some("/gone"), None, &all, Err("the configuration file /gone does not exist")),
        ] {
            let env = |name: &str| match name {
                "OCI_CLI_CONFIG_FILE" => cli.map(str::to_owned),
                "OCI_CONFIG_FILE" => fallback.map(str::to_owned),
                _ => None,
            };
            let read = |path: &Path| Ok(exist.contains(&path.to_str().unwrap()).then(String::new));
            let around = Surroundings { env: &env, read: &read, home: Some(Path::new("/h")) };
            match find_config(flag.map(Path::new), &around) {
                Ok(found) => {
                    assert_eq!(found.file.is_some(), expected != Ok(None));
                    let path = if found.file.is_some() { found.path.to_str().unwrap() } else { "none" };
                    assert_eq!(Some(path), expected.unwrap().or(Some("none")));
                }
                Err(error) => assert_eq!(Err(error.to_string().as_str()), expected),
            }
        }
    }

    #[test]
    fn trouble_names_the_file() {
        let read = |_: &Path| Err(Error::new(ErrorKind::Config, "permission denied"));
        let around = Surroundings { env: &|_| None, read: &read, home: Some(Path::new("/h")) };
        let error = find_config(None, &around).err().unwrap();
        assert_eq!(error.to_string(), "/h/.oci/config: permission denied");
        let read = |_: &Path| Ok(Some("[A]\nb".to_owned()));
        let around = Surroundings { env: &|_| None, read: &read, home: Some(Path::new("/h")) };
        let error = find_config(Some(Path::new("c")), &around).err().unwrap();
        assert_eq!(error.to_string(), "c: line 2: this is neither \"key = value\" nor \"[profile]\"");
    }
}
