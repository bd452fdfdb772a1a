//! Facts about the machine, for whoever reads the figures later.

use serde::Serialize;

/// What the kernel says of itself.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    cpu: String,
    cores: usize,
    memory_kib: String,
    kernel: String,
}

impl Facts {
    /// Reads them; what cannot be read stays empty.
    pub(crate) fn read() -> Self {
        let field = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        Facts {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_kib: field("/proc/meminfo", "MemTotal"),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
        }
    }
}
