//! Configuration files, endpoints, certificates.

use std::process::Command;

use super::{BUCKET, Case, Lab, case, put, put_with};

const FINGERPRINT: &str = "f7:40:02:84:d9:17:c8:6f:2e:8a:98:a5:31:4e:e4:11";

/// `outlast put` with a configuration file of this text.
fn with_config(lab: &Lab, text: &str) -> Command {
    lab.file("config", text.replace("FP", FINGERPRINT));
    put_with(lab, &["--config-file", "config", "-bn", BUCKET])
}

const API: &str =
    "[DEFAULT]\nuser=ocid1.user.oc1..u\ntenancy=ocid1.tenancy.oc1..t\nfingerprint=FP\nregion=us-phoenix-1\n";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("no configuration at all", |lab| {
            std::fs::remove_dir_all(lab.path(".oci")).expect("the directory is ours");
            put_with(lab, &["-bn", BUCKET])
        }),
        case("a configuration file that does not exist", |lab| {
            put_with(lab, &["--config-file", "none", "-bn", BUCKET])
        }),
        case("a configuration file that is a directory", |lab| {
            put_with(lab, &["--config-file", ".oci", "-bn", BUCKET])
        }),
        case("a profile that does not exist", |lab| put(lab, &["--profile", "NONE"])),
        case("a line that is no setting", |lab| with_config(lab, "[DEFAULT]\nuser\n")),
        case("a key given twice", |lab| with_config(lab, "[DEFAULT]\nregion=fra\nregion=phx\n")),
        case("a profile given twice", |lab| with_config(lab, "[A]\nregion=fra\n[A]\nregion=phx\n")),
        case("an API key profile without its key", |lab| with_config(lab, API)),
        case("a user that is no OCID", |lab| {
            with_config(lab, &format!("{API}key_file=k.pem\n").replace("ocid1.user.oc1..u", "alice"))
        }),
        case("a malformed fingerprint", |lab| {
            with_config(lab, &format!("{API}key_file=k.pem\n").replace("FP", "12:34"))
        }),
        case("no region and no endpoint", |lab| {
            with_config(lab, &format!("{API}key_file=k.pem\n").replace("region=us-phoenix-1\n", ""))
        }),
        case("`--auth instance_principal`", |lab| put(lab, &["--auth", "instance_principal"])),
        case("`--auth magic`", |lab| put(lab, &["--auth", "magic"])),
        case("`--auth security_token` for an API key profile", |lab| {
            put(lab, &["--profile", "KEY", "--auth", "security_token"])
        }),
        case("`--mint-session` for a session", |lab| put(lab, &["--mint-session", "5"])),
        case("an endpoint without `https://`", |lab| put(lab, &["--endpoint", "objectstorage.example.com"])),
        case("an endpoint of another scheme", |lab| put(lab, &["--endpoint", "ftp://example.com"])),
        case("an endpoint with plain http to another machine", |lab| {
            put(lab, &["--endpoint", "http://objectstorage.example.com"])
        }),
        case("an endpoint with a password", |lab| {
            put(lab, &["--endpoint", "https://user:hunter2@example.com"])
        }),
        case("an endpoint with a query", |lab| put(lab, &["--endpoint", "https://example.com/?key=hunter2"])),
        case("certificates in a file that does not exist", |lab| put(lab, &["--cert-bundle", "none.pem"])),
        case("certificates in a file that is none", |lab| {
            lab.file("ca.pem", "no certificate");
            put(lab, &["--cert-bundle", "ca.pem"])
        }),
        case("a proxy that is no URL", |lab| put(lab, &["--proxy", "user:hunter2@:"])),
        case("a file of defaults that does not exist", |lab| put(lab, &["--cli-rc-file", "none"])),
        case("a default that is no value for its flag", |lab| {
            lab.file(".oci/oci_cli_rc", "[LAB]\nos.object.put.part-size=many\n");
            put(lab, &[])
        }),
    ]
}
