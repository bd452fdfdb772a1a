//! The signing vectors of the official signer.
