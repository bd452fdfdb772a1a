//! `outlast man`: the man pages, from the same texts as `--help`.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::Cli;
use crate::exit::{Code, Failure, Outcome};
use crate::output;

/// Prints the main page, or writes all pages into a directory.
pub(crate) fn run(dir: Option<&Path>) -> Outcome {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    match dir {
        None => output::write_out(&page(&cli, "outlast")?),
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
            write_pages(&cli, "outlast", dir)
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Failure, format!("{} cannot be written: {error}", path.display()))
}

fn write_pages(command: &Command, name: &str, dir: &Path) -> Outcome {
    let path = dir.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name)?).map_err(|error| unwritable(&path, &error))?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        write_pages(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Outcome<String> {
    // The extra text is rendered by us, section by section.
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let plain = command.clone().after_long_help("").after_help("");
    let man = Man::new(plain)
        .title(name.to_uppercase())
        .section("1")
        .source(format!("outlast {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    let mut render = || -> std::io::Result<()> {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        if command.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut page)?;
        }
        if command.has_subcommands() {
            man.render_subcommands_section(&mut page)?;
        }
        sections(&after).to_writer(&mut page)
    };
    render().map_err(|error| Failure::new(Code::Failure, format!("the man page cannot be made: {error}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The texts of `args::text` as man page sections; their form is described there.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut shown = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let as_is = line.starts_with("    ");
        if shown != as_is {
            roff.control(if as_is { "nf" } else { "fi" }, []);
            shown = as_is;
        }
        if as_is {
            roff.text([roman(line)]);
        } else if let Some(body) = line.strip_prefix("  ") {
            match body.split_once("  ") {
                Some((term, description)) => {
                    roff.control("TP", []).text([bold(term)]).text([roman(description.trim_start())]);
                }
                None => {
                    roff.control("PP", []).text([roman(body)]);
                }
            }
        } else {
            roff.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
        }
    }
    if shown {
        roff.control("fi", []);
    }
    roff
}
