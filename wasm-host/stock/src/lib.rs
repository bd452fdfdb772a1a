//! The component in stock hosts. There is nothing here but tests (`tests/wasmtime.rs`).
