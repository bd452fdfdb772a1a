//! Ctrl-C and SIGTERM: the first asks to stop in order, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Arrivals;

use crate::exit::{Code, Failure, Outcome};
use crate::screen::Screen;

/// Nothing is under way that deserves an orderly stop.
const AT_ONCE: u8 = 0;
/// The first signal asks.
const ORDERLY: u8 = 1;
/// It has been asked; the next one ends the process.
const ASKED: u8 = 2;

/// What signals do.
#[derive(Clone)]
pub(crate) struct Signals(Arc<AtomicU8>);

impl Signals {
    /// Takes SIGINT and SIGTERM over. Until [`Signals::orderly`] is called they end the process with 130.
    ///
    /// Errors: 1 when the system refuses.
    pub(crate) fn install(screen: &Screen) -> Outcome<Signals> {
        let state = Arc::new(AtomicU8::new(AT_ONCE));
        let failed = |error| Failure::new(Code::Failure, format!("signals cannot be watched: {error}"));
        let mut arrivals = Arrivals::new([SIGINT, SIGTERM]).map_err(failed)?;
        let (shared, screen) = (Arc::clone(&state), screen.clone());
        let watch = move || {
            for _ in arrivals.forever() {
                if shared.compare_exchange(ORDERLY, ASKED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                    screen.clear_bar();
                    screen.raw("outlast: interrupted");
                    std::process::exit(i32::from(Code::Interrupted as u8));
                }
            }
        };
        std::thread::Builder::new().name("outlast-signals".into()).spawn(watch).map_err(failed)?;
        Ok(Signals(state))
    }

    /// From now on the first signal only asks.
    pub(crate) fn orderly(&self) {
        let _ = self.0.compare_exchange(AT_ONCE, ORDERLY, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// From now on every signal ends the process.
    pub(crate) fn at_once(&self) {
        self.0.store(AT_ONCE, Ordering::SeqCst);
    }

    /// Whether a signal has asked to stop.
    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASKED
    }
}
