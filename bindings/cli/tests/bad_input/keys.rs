//! Keys and tokens.

use std::path::PathBuf;

use super::{Case, Lab, case, put};

fn key(lab: &Lab) -> PathBuf {
    lab.path(".oci/sessions/LAB/oci_api_key.pem")
}

fn token(lab: &Lab) -> PathBuf {
    lab.path(".oci/sessions/LAB/token")
}

fn write(path: PathBuf, text: &str) {
    std::fs::write(path, text).expect("the directory is ours");
}

/// PKCS#8, encrypted (PBES2) with the passphrase `correct`; the key in it is made for this test and used nowhere.
const ENCRYPTED: &str = include_str!("encrypted.pem");

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a key file that does not exist", |lab| {
            std::fs::remove_file(key(lab)).expect("it was written");
            put(lab, &[])
        }),
        case("a key file that is empty", |lab| {
            write(key(lab), "");
            put(lab, &[])
        }),
        case("a key file that holds something else", |lab| {
            write(key(lab), "hunter2");
            put(lab, &[])
        }),
        case("the public key in place of the private one", |lab| {
            std::fs::copy(lab.path(".oci/sessions/LAB/oci_api_key_public.pem"), key(lab))
                .expect("both are there");
            put(lab, &[])
        }),
        case("a key that is cut off", |lab| {
            let text = std::fs::read_to_string(key(lab)).expect("a key");
            write(key(lab), &text[..text.len() / 2]);
            put(lab, &[])
        }),
        case("an encrypted key and no passphrase", |lab| {
            write(key(lab), ENCRYPTED);
            put(lab, &[])
        }),
        case("an encrypted key and a wrong passphrase", |lab| {
            write(key(lab), ENCRYPTED);
            let mut command = put(lab, &[]);
            command.env("OCI_CLI_PASSPHRASE", "hunter2");
            command
        }),
        case("the key file of a session whose key was never here", |lab| {
            let config = lab.path(".oci/config");
            let text = std::fs::read_to_string(&config).expect("a configuration");
            let path = key(lab).canonicalize().expect("a key").display().to_string();
            write(config, &text.replace(&path, "Update_private_key_path"));
            put(lab, &[])
        }),
        case("an API key that is not the configured one", |lab| {
            write(lab.path(".oci/sessions/KEY/oci_api_key.pem"), ENCRYPTED);
            let mut command = put(lab, &["--profile", "KEY"]);
            command.env("OCI_CLI_PASSPHRASE", "correct");
            command
        }),
        case("a token file that does not exist", |lab| {
            std::fs::remove_file(token(lab)).expect("it was written");
            put(lab, &[])
        }),
        case("a token file that is empty", |lab| {
            write(token(lab), "");
            put(lab, &[])
        }),
        case("a token file that holds something else", |lab| {
            write(token(lab), "hunter2");
            put(lab, &[])
        }),
        case("a token that is cut off", |lab| {
            let text = std::fs::read_to_string(token(lab)).expect("a token");
            write(token(lab), &text[..text.len() / 3]);
            put(lab, &[])
        }),
        case("a token that belongs to another key", |lab| {
            write(key(lab), ENCRYPTED);
            let mut command = put(lab, &[]);
            command.env("OCI_CLI_PASSPHRASE", "correct");
            command
        }),
        case("a token that has expired", |lab| {
            lab.control().set_clock_shift_ms(-8 * 3_600_000);
            lab.sign_in();
            lab.control().set_clock_shift_ms(0);
            put(lab, &[])
        }),
        case("a token that is refused, and so is its refresh", |lab| {
            lab.control().revoke(&outlast_cloud::Revoke::All);
            put(lab, &[])
        }),
        case("an API key that the service does not know", |lab| {
            let key_id = std::fs::read_to_string(lab.path("key-id")).expect("the lab wrote it");
            lab.control().distrust(&key_id);
            put(lab, &["--profile", "KEY"])
        }),
        case("`session show` of an API key", |lab| {
            let mut command = lab.outlast();
            command.args(["session", "show", "--profile", "KEY"]);
            command
        }),
        case("`session refresh` of a token that is refused", |lab| {
            lab.control().revoke(&outlast_cloud::Revoke::All);
            let mut command = lab.outlast();
            command.args(["session", "refresh"]).args(lab.way("LAB"));
            command
        }),
    ]
}
