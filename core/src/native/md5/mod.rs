//! MD5 of many parts side by side.
//!
//! One MD5 is a chain in which each step waits for the one before it, so a core computes it at a fraction of what its
//! vector units could do. Parts are independent: eight or sixteen of them fill the vector registers ([`lanes`]). The
//! [`batch`] collects blocks until enough parts have some; the thread that completes a lot hashes it.

mod batch;
mod block;
mod lanes;

pub(crate) use batch::{Batcher, Digest, Stream};
