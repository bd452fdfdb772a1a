//! The object storage endpoints: from an operation to its handler.

use super::{objects, uploads};
use crate::http::body::Body;
use crate::http::reply::{Fail, Reply};
use crate::op::Op;
use crate::service::{Call, Handled};
use serde_json::Value;

/// Serves one request of Object Storage. `json` is the whole body of the operations that have a small one.
pub(crate) async fn serve(call: &Call<'_>, json: &[u8], body: &mut Body<'_>) -> Handled {
    if call.route.op == Op::Unknown {
        return Err(nothing().into());
    }
    if call.route.op != Op::GetNamespace && call.route.namespace != call.service.config.namespace {
        let message = format!(
            "You do not have authorization to perform this request, or the namespace '{}' could not be found",
            call.route.namespace
        );
        return Err(Fail::new(404, "NamespaceNotFound", message).into());
    }
    match call.route.op {
        Op::GetNamespace => Ok(Reply::json(200, &Value::from(call.service.config.namespace.as_str()))),
        Op::GetBucket | Op::HeadBucket => objects::bucket(call),
        Op::ListObjects => objects::list(call),
        Op::PutObject => objects::put(call, body).await,
        Op::HeadObject => objects::head(call),
        Op::GetObject => objects::get(call),
        Op::DeleteObject => objects::delete(call),
        Op::CreateUpload => uploads::create(call, json),
        Op::UploadPart => uploads::put_part(call, body).await,
        Op::ListParts => uploads::list_parts(call),
        Op::ListUploads => uploads::list_uploads(call),
        Op::CommitUpload => uploads::commit(call, json),
        Op::AbortUpload => uploads::abort(call),
        _ => Err(nothing().into()),
    }
}

fn nothing() -> Fail {
    Fail::new(404, "NotAuthorizedOrNotFound", "There is nothing here")
}
