//! The library exports what the ledger says and nothing else, and the header declares exactly that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn include(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include").join(name);
    std::fs::read_to_string(path).expect("the file is committed")
}

fn ledger() -> BTreeSet<String> {
    let text = include("symbols.txt");
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

/// The library that was built with this test: beside the test's own directory.
fn library() -> PathBuf {
    let mut path = std::env::current_exe().expect("a running test has a path");
    path.pop();
    path.join("liboutlast.so")
}

#[test]
fn the_header_declares_the_ledger() {
    let header = include("outlast.h");
    let declared: BTreeSet<String> = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', '*', '}']) && !line.starts_with("typedef"))
        .filter(|line| !line.starts_with("static inline"))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .filter(|word| word.starts_with("outlast_") && header.contains(&format!("{word}(")))
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, ledger());
}

#[test]
fn the_library_exports_the_ledger() {
    let library = library();
    assert!(library.exists(), "{} is missing", library.display());
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output();
    let output = output.expect("binutils are installed");
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let exported: BTreeSet<String> =
        listing.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, ledger(), "include/symbols.txt is the ledger of the ABI");
    let dynamic = Command::new("readelf").arg("-d").arg(&library).output().expect("binutils are installed");
    assert!(String::from_utf8_lossy(&dynamic.stdout).contains("[liboutlast.so.0]"));
}
