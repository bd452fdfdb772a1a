//! What is counted, by name.

use std::hint::black_box;
use std::time::Duration;

use outlast_core::engine::checksum::{Digests, combine_crc32c, multipart_md5};
use outlast_core::engine::session::LeaseAnswer;
use outlast_core::engine::sign::authorize;
use outlast_core::engine::upload::journal::{self, FORMAT, Record};
use outlast_core::engine::upload::plan::Plan;
use outlast_core::engine::upload::spec::{ChecksumAlgorithm, SourceIdentity, Target};
use outlast_core::engine::wire::oci;

use crate::cloud::{PART, Scene};
use crate::{grant, key, measured, moment};

/// A scene: what it does, and of how many of them the price is told.
pub struct Named {
    /// As in the reference and on the command line.
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    /// Plays it; the number of units.
    pub play: fn() -> u64,
}

/// All scenes.
pub const SCENES: [Named; 9] = [
    Named { name: "upload-1000", unit: "event", play: || upload(1_000, 15) },
    Named { name: "upload-10000", unit: "event", play: || upload(10_000, 15) },
    Named { name: "upload-10000-wide", unit: "event", play: || upload(10_000, 1_000) },
    Named { name: "lease", unit: "lease", play: lease },
    Named { name: "sign", unit: "request", play: sign },
    Named { name: "plan", unit: "part", play: plan },
    Named { name: "combine", unit: "part", play: combine },
    Named { name: "journal-encode", unit: "record", play: journal_encode },
    Named { name: "journal-decode", unit: "record", play: journal_decode },
];

/// A whole upload, from plan to verified, under tokens that are renewed a few times on the way.
fn upload(parts: u64, parallel: u32) -> u64 {
    // Two and a half hours: the token of an hour is renewed in mid-upload.
    let mut scene = Scene::new(parts, parallel, Duration::from_millis(9_000_000 / parts));
    scene.run();
    scene.events
}

/// The right to send one request, of a session whose credential is fresh.
fn lease() -> u64 {
    let mut scene = Scene::new(2, 1, Duration::from_millis(1));
    scene.sign_in();
    let (engine, session, now) = scene.parts();
    measured(|| {
        for _ in 0..10_000 {
            let answer = engine.session_lease(session, now);
            assert!(matches!(black_box(answer), LeaseAnswer::Ready(_)), "the credential is fresh");
        }
    });
    10_000
}

/// The request of a part with its signature.
fn sign() -> u64 {
    let (target, now) = (target(), moment(0));
    let grant = grant(&key(), 1, now);
    measured(|| {
        for number in 1..=20 {
            let asked = Some(ChecksumAlgorithm::Crc32c);
            let request = oci::upload_part(&target, "upload-id", number, None, asked, None);
            let signed = authorize(
                &request,
                "objectstorage.us-phoenix-1.oraclecloud.com",
                now.wall,
                &grant.credential,
            );
            black_box(signed.expect("a good request"));
        }
    });
    20
}

/// The requests of all parts and the body of the commit, without signatures.
fn plan() -> u64 {
    let target = target();
    measured(|| {
        let plan = Plan::new(10_000 * PART, PART).expect("it fits");
        for number in 1..=plan.parts {
            black_box(plan.range(number));
            black_box(oci::upload_part(&target, "upload-id", number, None, None, None));
        }
        let etags: Vec<String> = (1..=plan.parts).map(|number| format!("etag-{number}")).collect();
        let parts = (1..).zip(etags.iter().map(String::as_str));
        black_box(oci::commit(&target, "upload-id", parts));
        u64::from(plan.parts)
    })
}

/// The object's checksums out of those of its parts.
fn combine() -> u64 {
    measured(|| {
        let parts = 0..10_000_u32;
        let crc =
            parts.clone().fold(0, |whole, part| combine_crc32c(whole, part.wrapping_mul(0x9e37_79b9), PART));
        black_box(crc);
        black_box(multipart_md5(parts.map(|part| [part.to_le_bytes()[0]; 16])));
    });
    10_000
}

fn journal_encode() -> u64 {
    let records = records();
    measured(|| {
        for record in &records {
            black_box(journal::encode(record));
        }
    });
    records.len() as u64
}

fn journal_decode() -> u64 {
    let records = records();
    let text: String = records.iter().map(journal::encode).collect();
    measured(|| {
        let state = journal::decode(text.as_bytes()).expect("it was just written");
        assert!(state.is_some_and(|state| state.parts.len() == 10_000), "all parts are read back");
    });
    records.len() as u64
}

/// The journal of an upload of 10,000 parts.
fn records() -> Vec<Record> {
    let source = SourceIdentity {
        name: "/backup/database.tar".into(),
        size: Some(10_000 * PART),
        modified_ns: 1_772_366_399_000_000_000,
        device: 1,
        inode: 2,
    };
    let mut records = vec![
        Record::Intent { format: FORMAT, target: target(), source, part_size: PART, at: moment(0).wall },
        Record::Created { upload_id: "upload-id".into() },
    ];
    records.extend((1..=10_000).map(|number| Record::Part {
        number,
        etag: format!("etag-{number}"),
        digests: Digests {
            len: PART,
            md5: Some([7; 16]),
            crc32c: Some(number.wrapping_mul(0x9e37_79b9)),
            ..Digests::default()
        },
    }));
    records
}

fn target() -> Target {
    Target { namespace: "ns".into(), bucket: "backups".into(), object: "database.tar".into() }
}
