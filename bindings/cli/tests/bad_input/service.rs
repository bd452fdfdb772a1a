//! Answers that end an upload.

use std::process::Command;

use outlast_cloud::{Action, Fault, Mangle, Op, Shows};

use super::{Case, Lab, SESSION, case, put};
use crate::common::bytes;

/// A put in three parts.
fn parts(lab: &Lab, more: &[&str]) -> Command {
    let file = lab.file("large.bin", bytes(3 << 20));
    let flags = [&["--part-size", "1", "--force", "-ns", "labns"], more].concat();
    lab.put(SESSION, &file, &flags)
}

fn fault(lab: &Lab, op: Op, action: Action) {
    lab.control().add_fault(Fault::on(op).act(action));
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("nobody listens at the endpoint", |lab| {
            put(lab, &["--endpoint", "http://127.0.0.1:9", "--no-retry"])
        }),
        case("the bucket does not exist", |lab| put(lab, &["-bn", "nobucket"])),
        case("the bucket does not exist, in parts", |lab| parts(lab, &["-bn", "nobucket"])),
        case("the namespace is another one", |lab| put(lab, &["-ns", "elsewhere"])),
        case("403 NotAuthorized", |lab| {
            fault(lab, Op::PutObject, Action::status(403, "NotAuthorized"));
            put(lab, &["--force"])
        }),
        case("400 QuotaExceeded", |lab| {
            fault(lab, Op::CreateUpload, Action::status(400, "QuotaExceeded"));
            parts(lab, &[])
        }),
        case("501 MethodNotImplemented", |lab| {
            fault(lab, Op::CreateUpload, Action::status(501, "MethodNotImplemented"));
            parts(lab, &[])
        }),
        case("the namespace answer is HTML", |lab| {
            fault(lab, Op::GetNamespace, Action::Mangle { how: Mangle::Html });
            put(lab, &[])
        }),
        case("the answer to create is JSON of the wrong shape", |lab| {
            fault(lab, Op::CreateUpload, Action::Mangle { how: Mangle::WrongJson });
            parts(lab, &[])
        }),
        case("the answer to create ends in the middle", |lab| {
            fault(lab, Op::CreateUpload, Action::Mangle { how: Mangle::BrokenJson });
            parts(lab, &["--no-retry"])
        }),
        case("part answers without an etag", |lab| {
            fault(lab, Op::UploadPart, Action::OmitHeaders { names: vec!["etag".into()] });
            parts(lab, &["--max-retries", "0", "--parallel-upload-count", "1"])
        }),
        case("503 and `--no-retry`", |lab| {
            fault(lab, Op::UploadPart, Action::status(503, "ServiceUnavailable"));
            parts(lab, &["--no-retry", "--parallel-upload-count", "1"])
        }),
        case("bytes that are stored damaged every time", |lab| {
            fault(lab, Op::PutObject, Action::Corrupt { shows: Shows::Always });
            put(lab, &["--force", "--max-retries", "1"])
        }),
        case("damage that shows at commit only", |lab| {
            fault(lab, Op::UploadPart, Action::Corrupt { shows: Shows::AtCommit });
            parts(lab, &[])
        }),
        case("no checksum in any answer", |lab| {
            let names =
                ["opc-content-md5", "opc-multipart-md5", "opc-content-crc32c"].map(String::from).to_vec();
            lab.control().add_fault(Fault::on_all().act(Action::OmitHeaders { names }));
            parts(lab, &["--parallel-upload-count", "1", "--max-retries", "0"])
        }),
        case("an object larger than the service takes", |lab| {
            lab.control().change(|settings| settings.max_part_bytes = 100);
            put(lab, &["--force"])
        }),
        case("the upload is aborted by somebody else", |lab| {
            fault(lab, Op::UploadPart, Action::status(404, "NoSuchUpload"));
            parts(lab, &["--parallel-upload-count", "1"])
        }),
        case("every token is refused with 401", |lab| {
            fault(lab, Op::UploadPart, Action::status(401, "NotAuthenticated"));
            fault(lab, Op::ListParts, Action::status(401, "NotAuthenticated"));
            parts(lab, &["--parallel-upload-count", "1"])
        }),
        case("the commit is refused", |lab| {
            fault(lab, Op::CommitUpload, Action::status(400, "InvalidUploadPart"));
            parts(lab, &[])
        }),
    ]
}
