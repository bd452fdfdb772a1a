//! Generated from `wit/`: what a component exports. Its imports are WASI's, which wasmtime brings.
#![allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "generated; the contract's own files document it"
)]

wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package outlast:host;

        world host {
            export outlast:transfer/types@0.1.0;
            export outlast:transfer/sessions@0.1.0;
            export outlast:transfer/uploads@0.1.0;
        }
    ",
    world: "outlast:host/host",
    exports: { default: async },
    require_store_data_send: true,
});

pub use exports::outlast::transfer::{sessions, types, uploads};
