//! `outlast demo`: the whole story on one machine, in about half a minute.
//!
//! [`stage`] sets up the loopback cloud, a profile and a file; [`child`] runs `outlast put` as a process of its own and
//! hears its events; [`play`] is the story, told while it happens; [`record`] gathers what the *cloud* saw, which is what
//! [`svg`] draws and what the comparison in the end is computed from.

mod child;
mod play;
mod record;
mod stage;
mod svg;

use std::path::{Path, PathBuf};

use crate::args::DemoArgs;
use crate::exit::{Code, Failure, Outcome};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;
use stage::Stage;

/// Plays it.
pub(crate) fn run(args: &DemoArgs) -> Outcome {
    let signals = Signals::install(&Screen::new(false))?;
    signals.orderly();
    let picture = Picture::reserve(&args.svg)?;
    let stage = Stage::set(args)?;
    let kept = args.keep.then(|| stage.dir().to_owned());
    let record = play::play(&stage, &signals)?;
    picture.write(&svg::draw(&record))?;
    play::close(&record, &picture.path, kept.as_deref())?;
    stage.clear(args.keep);
    Ok(())
}

/// Where the picture goes, tried before half a minute is spent.
struct Picture {
    path: PathBuf,
    is_new: bool,
    written: std::cell::Cell<bool>,
}

impl Picture {
    fn reserve(path: &Path) -> Outcome<Picture> {
        let is_new = !path.exists();
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|error| {
            let why = words::place_trouble(&error);
            Failure::usage(format!("--svg {} cannot be written: {why}", path.display()))
        })?;
        Ok(Picture { path: path.to_owned(), is_new, written: std::cell::Cell::new(false) })
    }

    fn write(&self, text: &str) -> Outcome {
        std::fs::write(&self.path, text).map_err(|error| {
            Failure::new(
                Code::Failure,
                format!("the picture {} cannot be written: {error}", self.path.display()),
            )
        })?;
        self.written.set(true);
        Ok(())
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        if self.is_new && !self.written.get() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
