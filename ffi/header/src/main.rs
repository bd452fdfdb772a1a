//! Writes `include/outlast.h`, or says with `--check` whether it is up to date.
//!
//! `cargo run -p outlast-header [-- --check]`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The contract that every function relies on.
const HEAD: &str = include_str!("head.txt");

/// What the generator cannot say.
const TAIL: &str = r"
/* A text from a NUL-terminated string; NULL is not given. */
static inline outlast_str outlast_text(const char *text)
{
  outlast_str view;
  view.data = text;
  view.len = text ? strlen(text) : 0;
  return view;
}

/* Declares a zeroed struct that knows its size:  OUTLAST_STRUCT(outlast_upload_options, options);  */
#define OUTLAST_STRUCT(type, name) \
  type name; \
  memset(&(name), 0, sizeof(name)); \
  (name).size = sizeof(name)
";

/// The header's text, and where it belongs.
fn generate() -> Result<(String, PathBuf), cbindgen::Error> {
    let crate_dir = &Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(format!("{}\n\n#ifndef OUTLAST_H\n#define OUTLAST_H", HEAD.trim_end())),
        trailer: Some(format!("{}\n\n#endif /* OUTLAST_H */", TAIL.trim())),
        cpp_compat: true,
        no_includes: true,
        sys_includes: ["stddef.h", "stdint.h", "string.h"].map(String::from).to_vec(),
        usize_is_size_t: true,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::C99,
        line_length: 110,
        tab_width: 2,
        sort_by: cbindgen::SortKey::None,
        ..cbindgen::Config::default()
    };
    let bindings = cbindgen::Builder::new().with_crate(crate_dir).with_config(config).generate()?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = compact(&String::from_utf8_lossy(&text));
    Ok((text, crate_dir.join("../include/outlast.h")))
}

/// Negative numbers in parentheses, so that they stand anywhere; and constants close together.
fn compact(text: &str) -> String {
    let mut out = String::new();
    let mut after_constant = false;
    for block in text.trim_end().split("\n\n") {
        let last = block.lines().next_back().unwrap_or_default();
        let constant = last.strip_prefix("#define OUTLAST_").filter(|rest| !rest.contains('('));
        if !out.is_empty() {
            out.push_str(if after_constant && constant.is_some() { "\n" } else { "\n\n" });
        }
        match constant.and_then(|rest| rest.split_once(" -")) {
            Some((name, number)) => {
                let comment = block.strip_suffix(last).unwrap_or_default();
                out.extend([comment, "#define OUTLAST_", name, " (-", number, ")"]);
            }
            None => out.push_str(block),
        }
        after_constant = constant.is_some() && !last.ends_with("_H");
    }
    out.push('\n');
    out
}

fn main() -> ExitCode {
    let (text, path) = match generate() {
        Ok(header) => header,
        Err(error) => {
            eprintln!("outlast-header: {error}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().any(|argument| argument == "--check") {
        let same = std::fs::read_to_string(&path).is_ok_and(|committed| committed == text);
        if !same {
            eprintln!("outlast-header: include/outlast.h is not what the source says; generate it again");
        }
        return if same { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match std::fs::write(&path, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlast-header: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_header_is_what_the_source_says() {
        let (text, path) = super::generate().expect("the source can be read");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == text,
            "include/outlast.h is not what the source says: cargo run -p outlast-header"
        );
    }
}
