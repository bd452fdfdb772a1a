//! The addresses of the FOLIO front ends.

use super::{authn, import};
use crate::http::reply::Reply;
use crate::op::Op;
use crate::service::{Call, Handled};

/// The operation at a method and path, if it is one of FOLIO's.
pub(crate) fn find(method: &str, path: &str) -> Option<Op> {
    Some(match (method, path) {
        ("POST", "/authn/login-with-expiry" | "/bl-users/login-with-expiry") => Op::FolioLogin,
        ("POST", "/authn/login") => Op::FolioLegacyLogin,
        ("POST", "/authn/refresh") => Op::FolioRefresh,
        ("POST", "/authn/logout") => Op::FolioLogout,
        ("POST", "/authn/logout-all") => Op::FolioLogoutAll,
        ("GET", "/authn/token") => Op::FolioCode,
        ("POST", "/data-import/jobs") => Op::FolioJob,
        ("GET", path) if path.starts_with("/data-import/jobs/") => Op::FolioJob,
        ("POST", path) if path.starts_with("/data-import/jobs/") && path.ends_with("/records") => {
            Op::FolioRecord
        }
        _ if path.starts_with("/authn/") || path.starts_with("/data-import/") => Op::FolioUnknown,
        _ => return None,
    })
}

/// Serves one request. `body` is all of it.
pub(crate) async fn serve(call: &Call<'_>, body: &[u8]) -> Handled {
    match call.route.op {
        Op::FolioLogin => authn::login(call, body, false),
        Op::FolioLegacyLogin => authn::login(call, body, true),
        Op::FolioRefresh => authn::refresh(call, body),
        Op::FolioLogout => Ok(authn::logout(call, false)),
        Op::FolioLogoutAll => Ok(authn::logout(call, true)),
        Op::FolioCode => authn::code(call),
        Op::FolioJob => Ok(import::job(call, body)),
        Op::FolioRecord => import::record(call, body).await,
        _ => Ok(Reply::empty(404)),
    }
}
