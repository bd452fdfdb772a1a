//! Gives the shared library its name: programs linked against it ask for `liboutlast.so.0`, whatever the file is called.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liboutlast.so.0");
        // A symbol that is missing is an error now, not at the first call in somebody's process; but those of a sanitizer's
        // runtime are the program's.
        if std::env::var_os("CARGO_CFG_SANITIZE").is_none() {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
        }
    }
}
