//! stub
use crate::{args::DemoArgs, exit::Outcome};
pub(crate) fn run(_args: &DemoArgs) -> Outcome {
    Ok(())
}
