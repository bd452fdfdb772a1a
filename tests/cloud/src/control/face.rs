//! The control interface over HTTP: `/_control/…`.

use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::reply::{Fail, Reply};
use crate::route::Route;
use crate::service::Service;
use std::net::SocketAddr;

pub(crate) async fn serve(
    _service: &Service,
    _head: &Head,
    _route: &Route<'_>,
    _body: &mut Body<'_>,
    _peer: SocketAddr,
) -> Reply {
    Fail::new(404, "NotFound", "not yet").reply()
}
