//! Calls through the C ABI, and the queue of events.
#![expect(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use outlast::outlast_abi_version;
use outlast_bench_micro::Host;

fn calls(criterion: &mut Criterion) {
    let host = Host::open();
    let mut group = criterion.benchmark_group("abi");
    group.measurement_time(Duration::from_secs(2));
    group.bench_function("version", |bencher| bencher.iter(|| outlast_abi_version()));
    group.bench_function("token", |bencher| bencher.iter(|| black_box(host.token(0))));
    // What has been told so far is taken first.
    while host.next(0).0 != 0 {}
    group.bench_function("empty queue", |bencher| bencher.iter(|| black_box(host.next(0))));
    group.finish();
}

/// From opening to the first credential: events out, a credential in.
fn sessions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    group.sample_size(10);
    group.bench_function("client, session, first credential", |bencher| bencher.iter(Host::open));
    group.finish();
}

criterion_group!(benches, calls, sessions);
criterion_main!(benches);
