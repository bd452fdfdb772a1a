//! `outlast-cloud`.
fn main() {}
