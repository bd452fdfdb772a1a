//! HTTP/1.1 by hand: the raw request line is kept for signatures, bodies are read at the speed of the kernel, and a
//! connection can be cut, stalled or answered early at any byte.

pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod reply;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod throttle;
pub(crate) mod tls;
pub(crate) mod wire;
