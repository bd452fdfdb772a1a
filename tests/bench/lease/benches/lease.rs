//! Leases of a fresh session from 1, 2 and 8 threads, beside what else one would use.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock and starts threads")]
#![expect(missing_docs, reason = "criterion's macros write undocumented functions")]

use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use outlast_bench_lease::{Cache, session};

const THREADS: [u64; 3] = [1, 2, 8];

/// Time for `iterations` calls on each of `threads` threads: the slowest thread's.
fn on_threads(threads: u64, iterations: u64, call: &(impl Fn() + Sync)) -> Duration {
    let barrier = Barrier::new(usize::try_from(threads).expect("few"));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    call();
                    barrier.wait();
                    let began = Instant::now();
                    for _ in 0..iterations {
                        call();
                    }
                    began.elapsed()
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).max().unwrap_or_default()
    })
}

fn leases(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lease");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    let ours = session();
    let cache = Arc::new(Cache::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handle = runtime.handle();
    for threads in THREADS {
        group.bench_with_input(BenchmarkId::new("outlast", threads), &threads, |bencher, &threads| {
            bencher.iter_custom(|iterations| {
                on_threads(threads, iterations, &|| {
                    std::hint::black_box(ours.lease_blocking(Duration::ZERO).expect("it is fresh"));
                })
            });
        });
        group.bench_with_input(BenchmarkId::new("tokio-rwlock", threads), &threads, |bencher, &threads| {
            bencher.iter_custom(|iterations| {
                on_threads(threads, iterations, &|| {
                    std::hint::black_box(handle.block_on(cache.token()).expect("it is fresh"));
                })
            });
        });
    }
    group.finish();
}

/// golang.org/x/oauth2's ReuseTokenSource, by Go's own bench.
fn go() {
    let reuse = concat!(env!("CARGO_MANIFEST_DIR"), "/reuse");
    let status = Command::new("go")
        .args(["test", "-run", "^$", "-bench", ".", "-benchtime", "2s", "-benchmem"])
        .current_dir(reuse)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("the Go side of the bench failed: {status}"),
        Err(error) => panic!("the Go side of the bench needs the go command: {error}"),
    }
}

criterion_group!(benches, leases);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    go();
}
