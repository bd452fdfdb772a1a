//! What a component may reach. Whatever is not named here does not exist for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use http::Uri;
use http::uri::Scheme;
use outlast_core::engine::config::Endpoint;

/// Authorities and folders for one component instance. The default grants nothing.
///
/// There is no grant for environment variables, arguments, standard streams or sockets: a component that asks for them
/// is not instantiated at all.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    authorities: BTreeSet<String>,
    folders: Vec<Folder>,
}

/// A folder that a component sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub host: PathBuf,
    /// Its name for the component.
    pub name: String,
    /// Whether files in it may be made, changed and removed.
    pub writable: bool,
}

impl Folder {
    /// A folder that has the same name for the component as for everybody else.
    pub fn same(path: &Path, writable: bool) -> Folder {
        Folder { host: path.to_owned(), name: path.display().to_string(), writable }
    }
}

impl Grants {
    /// Lets the component send requests to this scheme, host and port.
    #[must_use]
    pub fn authority(mut self, endpoint: &Endpoint) -> Grants {
        let base = endpoint.base();
        let scheme = base.split("://").next().unwrap_or_default();
        self.authorities.insert(format!("{scheme}://{}", endpoint.host()));
        self
    }

    /// Opens a folder for the component.
    #[must_use]
    pub fn folder(mut self, folder: Folder) -> Grants {
        self.add(folder);
        self
    }

    /// Opens a folder; says whether that changes anything.
    pub(crate) fn add(&mut self, folder: Folder) -> bool {
        let covered = |known: &Folder| {
            known.host == folder.host && known.name == folder.name && known.writable >= folder.writable
        };
        if self.folders.iter().any(covered) {
            return false;
        }
        // The guest takes the last of several folders of one name.
        self.folders.retain(|known| known.name != folder.name);
        self.folders.push(folder);
        true
    }

    /// The folders that are opened.
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// Whether a request may go there.
    pub fn allows(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else { return false };
        // User info would be a second name for the same host.
        if authority.as_str().contains('@') {
            return false;
        }
        let default_port = match scheme {
            scheme if *scheme == Scheme::HTTPS => 443,
            scheme if *scheme == Scheme::HTTP => 80,
            _ => return false,
        };
        let host = authority.host().to_ascii_lowercase();
        let name = match authority.port_u16().filter(|port| *port != default_port) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        self.authorities.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_authorities_are_allowed() {
        let endpoint = |text| Endpoint::parse(text, false).expect("a good URL");
        let grants = Grants::default()
            .authority(&endpoint("https://Storage.example.com/prefix"))
            .authority(&endpoint("http://127.0.0.1:8080"))
            .authority(&endpoint("http://[::1]:9"));
        for (uri, allowed) in [
            ("https://storage.example.com/n/x?y=1", true),
            ("https://STORAGE.example.com:443/", true),
            ("https://storage.example.com:444/", false),
            ("http://storage.example.com/", false),
            ("https://evil.storage.example.com/", false),
            ("https://storage.example.com.evil.com/", false),
            ("https://storage.example.com@evil.com/", false),
            ("https://x@storage.example.com/", false),
            ("http://127.0.0.1:8080/", true),
            ("http://127.0.0.1/", false),
            ("http://localhost:8080/", false),
            ("http://[::1]:9/", true),
            ("/relative", false),
        ] {
            assert_eq!(grants.allows(&uri.parse().expect("a URI")), allowed, "{uri}");
        }
        assert!(!Grants::default().allows(&"https://storage.example.com/".parse().expect("a URI")));
    }

    #[test]
    fn a_folder_is_opened_once_and_may_become_writable() {
        let mut grants = Grants::default();
        let data = Path::new("/data");
        assert!(grants.add(Folder::same(data, false)) && !grants.add(Folder::same(data, false)));
        assert!(grants.add(Folder::same(data, true)) && !grants.add(Folder::same(data, false)));
        assert_eq!(grants.folders(), [Folder::same(data, true)]);
    }
}
