//! Checksums of bytes that pass by, and of parts put together.
#![expect(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outlast_core::engine::checksum::{Hasher, Wanted, combine_crc32c};

fn checksums(criterion: &mut Criterion) {
    let block = vec![7_u8; 256 << 10];
    let mut group = criterion.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(block.len() as u64));
    let none = Wanted::default();
    for (name, wanted) in [
        ("CRC32C", Wanted { crc32c: true, ..none }),
        ("MD5, one lane", Wanted { md5: true, ..none }),
        ("SHA-256", Wanted { sha256: true, ..none }),
        ("SHA-384", Wanted { sha384: true, ..none }),
    ] {
        group.bench_function(name, |bencher| {
            let mut hasher = Hasher::new(wanted);
            bencher.iter(|| hasher.update(black_box(&block)));
        });
    }
    group.finish();
    criterion.bench_function("combine", |bencher| {
        bencher.iter(|| combine_crc32c(black_box(1), black_box(2), black_box(128 << 20)));
    });
}

criterion_group!(benches, checksums);
criterion_main!(benches);
