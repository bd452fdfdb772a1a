//! Generated from `wit/`.

#[cfg(feature = "uploads")]
wit_bindgen::generate!({ path: "../wit", world: "transfer", generate_all });
#[cfg(not(feature = "uploads"))]
wit_bindgen::generate!({ path: "../wit", world: "keeper", generate_all });

use crate::session::Component;
export!(Component);
