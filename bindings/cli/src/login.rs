//! `outlast login`: a person signs in, the result is sealed into the vault.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use outlast_core::engine::secret::Secret;
use outlast_core::engine::sessions_file::Kind;
use outlast_core::native::Web;
use outlast_core::native::sign_in::{DeviceCode, Guide, Way, sign_in};

use crate::args::LoginArgs;
use crate::defined::Defined;
use crate::exit::{Failure, Outcome};
use crate::screen::Screen;
use crate::signals::Signals;
use crate::words;

/// Longest token or password that is read, bytes.
const MOST: u64 = 128 << 10;

/// Signs in.
pub(crate) fn run(args: &LoginArgs) -> Outcome {
    let screen = Screen::new(false);
    let defined = Defined::open(&args.name, &args.sessions, &screen)?;
    let kept = defined.kept()?;
    let way = way(args, &defined)?;
    let web = Web::new(&defined.options)?;
    let signals = Signals::install(&screen)?;
    signals.orderly();
    let person = Person { screen: screen.clone(), signals: signals.clone(), browser: !args.no_browser };
    let record = sign_in(&kept, &web, way, args.wait, &person)?;
    signals.at_once();
    let end = record.expires_at.map_or_else(
        || "the token has no end".to_owned(),
        |end| format!("the token is good until {}", words::moment(end)),
    );
    let chain = if record.refresh_token.is_some() {
        "and is refreshed when it is needed"
    } else {
        "and cannot be refreshed: no refresh token came with it (does scope need offline_access?)"
    };
    screen.line(&format!("signed in to [{}]: {end} {chain}", args.name));
    Ok(())
}

fn way(args: &LoginArgs, defined: &Defined) -> Outcome<Way> {
    if let Some(path) = &args.refresh_token_file {
        return Ok(Way::Brought(secret(path)?));
    }
    if let (Some(name), Some(path)) = (&args.username, &args.password_file) {
        return Ok(Way::Password(name.clone(), secret(path)?));
    }
    if args.device {
        return Ok(Way::Device);
    }
    match &defined.def.kind {
        Kind::Folio(_) => Err(Failure::usage(
            "FOLIO signs in with a name and a password; give --username and --password-file",
        )),
        _ => Ok(Way::Browser),
    }
}

fn secret(path: &Path) -> Outcome<Secret<String>> {
    let shown = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let failed = |why: &str| Failure::usage(format!("{shown} cannot be read: {why}"));
    let mut text = String::new();
    let read = if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            Screen::new(false).line("reading from the terminal; end with Ctrl-D");
        }
        std::io::stdin().take(MOST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
    };
    let text = Secret::new(text);
    read.map_err(|error| failed(&words::trouble(&error)))?;
    if text.expose().len() as u64 > MOST {
        return Err(failed("it is larger than 128 KiB"));
    }
    let line = text.expose().trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(failed("it is empty"));
    }
    if line.chars().any(char::is_control) {
        return Err(failed("it is more than one line"));
    }
    Ok(Secret::new(line.to_owned()))
}

struct Person {
    screen: Screen,
    signals: Signals,
    browser: bool,
}

impl Guide for Person {
    fn open(&self, url: &str) {
        let opened = self.browser && self.screen.is_terminal() && open(url);
        let lead = if opened {
            "If no browser has opened, open"
        } else {
            "Sign in here, in a browser on this machine:"
        };
        self.screen.line(&format!("{lead}\n  {url}"));
    }

    fn code(&self, code: &DeviceCode) {
        let within = words::span(code.expires_in);
        self.screen.line(&format!(
            "Sign in with any browser, within {within}:\n  address  {}\n  code     {}",
            code.verification_uri, code.user_code
        ));
        if let Some(complete) = &code.verification_uri_complete {
            self.screen.line(&format!("  or both  {complete}"));
        }
    }

    fn stopped(&self) -> bool {
        self.signals.asked()
    }
}

/// Hands an address to the desktop. It is ours: made of checked URLs and encoded values.
fn open(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.is_ok()
}
