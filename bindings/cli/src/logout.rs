//! `outlast logout`: the stored sign-in is revoked and forgotten.

use outlast_core::native::sign_in::{SignedOut, sign_out};
use outlast_core::native::{Web, end_job};

use crate::args::LogoutArgs;
use crate::defined::Defined;
use crate::exit::Outcome;
use crate::screen::Screen;
use crate::signals::Signals;

/// Signs out.
pub(crate) fn run(args: &LogoutArgs) -> Outcome {
    let screen = Screen::new(false);
    let defined = Defined::open(&args.name, &args.sessions, &screen)?;
    let web = Web::new(&defined.options)?;
    Signals::install(&screen)?;
    let name = &args.name;
    if let Some(job) = &args.job {
        let allow_http = defined.options.allow_http;
        let ended =
            end_job(&defined.def, None, &defined.state_dir, allow_http, job, &web).map_err(|error| {
                crate::exit::Failure::from(error)
                    .advise("the job's tokens are kept; run the same command again")
            })?;
        screen.line(&match ended {
            None => format!("the job {job} of [{name}] has no tokens"),
            Some(true) => {
                format!("ended the job {job} of [{name}]; the identity provider has revoked its tokens")
            }
            Some(false) => {
                format!("ended the job {job} of [{name}] on this machine; the identity provider was not told")
            }
        });
        return Ok(());
    }
    let kept = defined.kept()?;
    let ended = sign_out(&kept, &web, args.local).map_err(|error| {
        crate::exit::Failure::from(error)
            .advise("the sign-in is kept; --local forgets it without telling the identity provider")
    })?;
    screen.line(&match ended {
        SignedOut::Nobody => format!("nobody was signed in to [{name}]"),
        SignedOut::Revoked => {
            format!("signed out of [{name}]; the identity provider has revoked the sign-in")
        }
        SignedOut::Forgotten => {
            format!("signed out of [{name}] on this machine; the identity provider was not told")
        }
        SignedOut::LeftToJobs(jobs) => format!(
            "signed out of [{name}] on this machine; jobs go on with the sign-in, and the last to end has it revoked: {}",
            jobs.join(", ")
        ),
    });
    Ok(())
}
