//! Counts the instructions of the engine's hot paths under callgrind and compares them with the reference.
//!
//! `bench-paths` counts and compares, `bench-paths --update` writes the reference anew, `bench-paths NAME` plays one
//! scene (which is what it runs under callgrind).

mod count;
mod reference;

use std::process::ExitCode;

use outlast_paths::scenes::SCENES;
use reference::{Reference, compare, here};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => outcome(check()),
        ["--update"] => outcome(update()),
        [name] => outcome(play(name)),
        _ => outcome(Err("usage: bench-paths [--update | SCENE]".into())),
    }
}

fn outcome(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(name: &str) -> Result<(), String> {
    let scene = SCENES.iter().find(|scene| scene.name == name).ok_or_else(|| {
        let names: Vec<&str> = SCENES.iter().map(|scene| scene.name).collect();
        format!("there is no scene \"{name}\"; there are {}", names.join(", "))
    })?;
    println!("{}", (scene.play)());
    Ok(())
}

fn check() -> Result<(), String> {
    let counted = count::all()?;
    let reference = Reference::read()?;
    let (lines, complaints) = compare(&reference, &counted, &here()?);
    println!("{lines}");
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn update() -> Result<(), String> {
    let counted = count::all()?;
    Reference::new(here()?, &counted).write()
}
