//! The engine's events, leases, signatures and journal records.
#![expect(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use outlast_core::engine::checksum::Digests;
use outlast_core::engine::sign::authorize;
use outlast_core::engine::upload::journal::{Record, decode, encode};
use outlast_core::engine::upload::spec::Target;
use outlast_core::engine::wire::oci;
use outlast_paths::cloud::Scene;
use outlast_paths::{grant, key, moment};

/// Whole uploads; criterion tells events per second.
fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for (parts, parallel) in [(1_000, 15), (10_000, 15), (10_000, 1_000)] {
        let scene = || Scene::new(parts, parallel, Duration::from_millis(9_000_000 / parts));
        let mut once = scene();
        once.run();
        group.throughput(Throughput::Elements(once.events));
        let name = BenchmarkId::new(format!("{parts} parts"), parallel);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(scene, |mut scene| scene.run(), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn leases(criterion: &mut Criterion) {
    let mut scene = Scene::new(2, 1, Duration::from_millis(1));
    scene.sign_in();
    let (engine, session, now) = scene.parts();
    criterion.bench_function("lease", |bencher| {
        bencher.iter(|| black_box(engine.session_lease(session, now)));
    });
}

fn signatures(criterion: &mut Criterion) {
    let target = Target { namespace: "ns".into(), bucket: "b".into(), object: "o".into() };
    let request = oci::upload_part(&target, "upload-id", 1, None, None, None);
    let grant = grant(&key(), 1, moment(0));
    criterion.bench_function("sign", |bencher| {
        bencher.iter(|| authorize(&request, "host", moment(0).wall, &grant.credential).expect("it signs"));
    });
}

fn journals(criterion: &mut Criterion) {
    let digests = Digests { len: 1 << 27, md5: Some([7; 16]), crc32c: Some(7), ..Digests::default() };
    let record = Record::Part { number: 1, etag: "an-etag-of-usual-length".into(), digests };
    let line = encode(&record);
    let mut group = criterion.benchmark_group("journal");
    group.throughput(Throughput::Bytes(line.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| encode(black_box(&record))));
    let torn = &line.as_bytes()[..line.len() - 1];
    group.bench_function("torn line", |bencher| {
        bencher.iter(|| decode(black_box(torn)).expect("a torn tail"));
    });
    group.finish();
}

criterion_group!(benches, events, leases, signatures, journals);
criterion_main!(benches);
