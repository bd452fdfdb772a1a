//! Regions: names, codes, and the service hosts that follow from them.

use serde_json::{Map, Value};

use super::realms::REALMS;
use crate::engine::error::{Error, ErrorKind};

/// A region and the domain of its realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The identifier, for example `us-phoenix-1`.
    pub id: String,
    /// The realm's domain, for example `oraclecloud.com`.
    pub domain: String,
    /// The realm's key, for example `oc1`; `None` when only the domain was given.
    pub realm: Option<String>,
    /// False when the name was not found anywhere and the realm is a guess.
    pub known: bool,
}

/// Finds a region by its identifier or three-letter code, in any case.
///
/// In this order: the table of this library, `regions_config` (the text of `~/.oci/regions-config.json`), the variable
/// `OCI_REGION_METADATA`; a name that contains a dot is the full domain (`us-x-1.example.com`); any other name is taken for a
/// region of the realm in `OCI_DEFAULT_REALM` (a domain or a realm key), else of `oc1`, as the official SDKs guess.
///
/// A metadata text that cannot be read is passed over, as the official SDKs do.
/// Errors: `Config` for a name or domain that cannot be part of a host name.
pub fn resolve(
    name_or_code: &str,
    env: &dyn Fn(&str) -> Option<String>,
    regions_config: Option<&str>,
) -> Result<Region, Error> {
    let name = name_or_code.trim().to_lowercase();
    if let Some(region) = in_table(&name).or_else(|| in_config(&name, regions_config)) {
        return Ok(region);
    }
    if let Some(region) = env("OCI_REGION_METADATA").and_then(|text| {
        let metadata: Map<String, Value> = serde_json::from_str(&text).ok()?;
        described(&metadata).filter(|(code, region)| *code == name || region.id == name)
    }) {
        return Ok(region.1);
    }
    if let Some((id, domain)) = name.split_once('.') {
        if !is_host(&name) {
            return Err(unusable(&name));
        }
        return Ok(Region { id: id.to_owned(), domain: domain.to_owned(), realm: None, known: true });
    }
    if !is_label(&name) {
        return Err(unusable(&name));
    }
    let (realm, domain) = default_realm(env)?;
    Ok(Region { id: name, domain, realm, known: false })
}

/// Whether the built-in table has this identifier or code.
pub(super) fn is_listed(name_or_code: &str) -> bool {
    in_table(&name_or_code.trim().to_lowercase()).is_some()
}

fn in_table(name: &str) -> Option<Region> {
    REALMS.iter().find_map(|realm| {
        let (id, _) = realm.regions.iter().find(|(id, code)| *id == name || *code == name)?;
        Some(Region {
            id: (*id).to_owned(),
            domain: realm.domain.to_owned(),
            realm: Some(realm.key.to_owned()),
            known: true,
        })
    })
}

fn in_config(name: &str, text: Option<&str>) -> Option<Region> {
    let list: Vec<Value> = serde_json::from_str(text?).ok()?;
    let regions = list.iter().filter_map(|entry| described(entry.as_object()?));
    regions.filter(|(code, region)| code == name || region.id == name).map(|(_, region)| region).next()
}

/// Code and region of one metadata entry, if it is whole.
fn described(metadata: &Map<String, Value>) -> Option<(String, Region)> {
    let text = |key: &str| Some(metadata.get(key)?.as_str()?.trim().to_lowercase());
    let region = Region {
        id: text("regionIdentifier").filter(|id| is_label(id))?,
        domain: text("realmDomainComponent").filter(|domain| is_host(domain))?,
        realm: Some(text("realmKey").filter(|key| !key.is_empty())?),
        known: true,
    };
    Some((text("regionKey")?, region))
}

fn default_realm(env: &dyn Fn(&str) -> Option<String>) -> Result<(Option<String>, String), Error> {
    let wanted =
        env("OCI_DEFAULT_REALM").map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    let key = wanted.as_deref().unwrap_or("oc1");
    if let Some(realm) = REALMS.iter().find(|realm| realm.key == key || realm.domain == key) {
        // Two realms share a domain; which one is meant does not change any host.
        return Ok((Some(realm.key.to_owned()), realm.domain.to_owned()));
    }
    if key.contains('.') && is_host(key) {
        return Ok((None, key.to_owned()));
    }
    Err(Error::new(ErrorKind::Config, "OCI_DEFAULT_REALM is neither the domain nor the key of a realm"))
}

fn unusable(name: &str) -> Error {
    let name: String = name.chars().take(60).collect();
    Error::new(
        ErrorKind::Config,
        format!("{name:?} cannot be a region: only letters, digits, '-', '_' and '.'"),
    )
}

/// One label of a host name.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_host(text: &str) -> bool {
    text.len() <= 200 && text.split('.').all(is_label)
}

/// Base URL of Object Storage.
///
/// `realm_specific` has an effect in realm `oc1` only (elsewhere the service has no such host); without a `namespace`
/// its label is left out, as for calls that name none. A namespace that cannot be a host label falls back to the
/// default host.
/// Source: `oci.md` section 3.1.
pub fn storage_endpoint(
    region: &Region,
    namespace: Option<&str>,
    dual_stack: bool,
    realm_specific: bool,
) -> String {
    let Region { id, domain, .. } = region;
    let stack = if dual_stack { ".ds" } else { "" };
    let namespace = namespace.map_or(Some(String::new()), |name| is_label(name).then(|| format!("{name}.")));
    match namespace {
        Some(label) if realm_specific && region.realm.as_deref() == Some("oc1") => {
            format!("https://{label}objectstorage.{id}{stack}.oci.customer-oci.com")
        }
        _ if dual_stack => format!("https://objectstorage.{id}.ds.oci.{domain}"),
        _ => format!("https://objectstorage.{id}.{domain}"),
    }
}

/// Base URL of the auth service, where sessions are refreshed. Source: `oci.md` section 3.1.
pub fn auth_endpoint(region: &Region) -> String {
    format!("https://auth.{}.{}", region.id, region.domain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plain(name: &str) -> Region {
        resolve(name, &|_| None, None).unwrap()
    }

    #[test]
    fn the_table_is_whole_and_unambiguous() {
        let all: Vec<_> = REALMS.iter().flat_map(|realm| realm.regions).collect();
        assert_eq!((REALMS.len(), all.len()), (20, 85));
        let names: BTreeSet<_> = all.iter().flat_map(|(id, code)| [id, code]).collect();
        assert_eq!(names.len(), 170);
        for realm in REALMS {
            for (id, code) in realm.regions {
                assert_eq!(code.len(), 3);
                for name in [(*id).to_owned(), (*code).to_owned(), id.to_uppercase(), format!(" {code}\n")] {
                    let region = plain(&name);
                    assert_eq!((region.id.as_str(), region.domain.as_str()), (*id, realm.domain));
                    assert_eq!((region.realm.as_deref(), region.known), (Some(realm.key), true));
                }
            }
        }
    }

    #[test]
    fn endpoints_follow_the_templates() {
        let phoenix = plain("phx");
        let london = plain("uk-gov-london-1");
        for (region, namespace, dual_stack, realm_specific, expected) in [
            (&phoenix, None, false, false, "https://objectstorage.us-phoenix-1.oraclecloud.com"),
            (&phoenix, Some("ns"), false, false, "https://objectstorage.us-phoenix-1.oraclecloud.com"),
            (&phoenix, Some("ns"), true, false, "https://objectstorage.us-phoenix-1.ds.oci.oraclecloud.com"),
            (&phoenix, Some("ns"), false, true, "https://ns.objectstorage.us-phoenix-1.oci.customer-oci.com"),
            (&phoenix, None, false, true, "https://objectstorage.us-phoenix-1.oci.customer-oci.com"),
            (
                &phoenix,
                Some("ns"),
                true,
                true,
                "https://ns.objectstorage.us-phoenix-1.ds.oci.customer-oci.com",
            ),
            (&phoenix, Some("a.b"), false, true, "https://objectstorage.us-phoenix-1.oraclecloud.com"),
            (&london, Some("ns"), false, true, "https://objectstorage.uk-gov-london-1.oraclegovcloud.uk"),
            (
                &london,
                Some("ns"),
                true,
                true,
                "https://objectstorage.uk-gov-london-1.ds.oci.oraclegovcloud.uk",
            ),
        ] {
            assert_eq!(storage_endpoint(region, namespace, dual_stack, realm_specific), expected);
        }
        assert_eq!(auth_endpoint(&phoenix), "https://auth.us-phoenix-1.oraclecloud.com");
        assert_eq!(auth_endpoint(&plain("eu-x-1.example.com")), "https://auth.eu-x-1.example.com");
    }

    #[test]
    fn unknown_names_are_guessed_as_the_sdks_do() {
        let guess = |name: &str, realm: Option<&str>| {
            let env = |variable: &str| realm.filter(|_| variable == "OCI_DEFAULT_REALM").map(str::to_owned);
            resolve(name, &env, None)
        };
        let region = guess("Us-New-9", None).unwrap();
        assert_eq!(
            (region.id.as_str(), region.domain.as_str(), region.known),
            ("us-new-9", "oraclecloud.com", false)
        );
        assert_eq!(guess("x", Some("oraclecloud.eu")).unwrap().realm.as_deref(), Some("oc19"));
        assert_eq!(guess("x", Some(" OC8 ")).unwrap().domain, "oraclecloud8.com");
        assert_eq!(guess("x", Some("new.example")).unwrap().domain, "new.example");
        assert_eq!(guess("x", Some("")).unwrap().domain, "oraclecloud.com");
        assert_eq!(guess("us-phoenix-1", Some("oc8")).unwrap().domain, "oraclecloud.com");
        assert_eq!(
            guess("x", Some("oc999")).unwrap_err().to_string(),
            "OCI_DEFAULT_REALM is neither the domain nor the key of a realm"
        );
        let full = guess("us-x-1.my.cloud", Some("oc8")).unwrap();
        assert_eq!((full.id.as_str(), full.domain.as_str(), full.realm), ("us-x-1", "my.cloud", None));
        for name in ["", " ", "a b", "a/b", "ü", "a..b", ".a", "a.", "evil.com/#", "a@b", "us\nx"] {
            let error = guess(name, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("cannot be a region"), "{error}");
        }
    }

    #[test]
    fn metadata_adds_regions() {
        let sydney = r#"{"realmKey":"OC77","realmDomainComponent":"Cloud77.example","regionKey":"ZZZ","regionIdentifier":"zz-test-1"}"#;
        let env = |variable: &str| (variable == "OCI_REGION_METADATA").then(|| sydney.to_owned());
        for name in ["zzz", "ZZ-Test-1"] {
            for region in [
                resolve(name, &env, None).unwrap(),
                resolve(name, &|_| None, Some(&format!("[7,{{}},{sydney}]"))).unwrap(),
            ] {
                assert_eq!((region.id.as_str(), region.domain.as_str()), ("zz-test-1", "cloud77.example"));
                assert_eq!((region.realm.as_deref(), region.known), (Some("oc77"), true));
            }
        }
        // A built-in region is not redirected by metadata, and what cannot be read is passed over.
        let hijack = sydney.replace("zz-test-1", "us-phoenix-1");
        assert_eq!(
            resolve("phx", &|_| None, Some(&format!("[{hijack}]"))).unwrap().domain,
            "oraclecloud.com"
        );
        for text in [
            "",
            "{",
            "[]",
            "null",
            "[null]",
            &sydney.replace("Cloud77.example", "evil.com/#"),
            &"[".repeat(9999),
        ] {
            let env = |variable: &str| (variable == "OCI_REGION_METADATA").then(|| (*text).to_owned());
            assert!(!resolve("zzz", &env, Some(text)).unwrap().known, "{text}");
        }
    }
}
