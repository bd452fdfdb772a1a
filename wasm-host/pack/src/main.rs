//! Turns the guest's core module into a component: `outlast-wasm-pack MODULE COMPONENT`.
//!
//! The module carries its world in a custom section; everything else in custom sections but the list of producers is
//! dropped.

use std::error::Error;
use std::process::ExitCode;

use wit_component::ComponentEncoder;

fn pack(module: &str, component: &str) -> Result<usize, Box<dyn Error>> {
    let module = std::fs::read(module)?;
    let bytes = ComponentEncoder::default().module(&module)?.validate(true).encode()?;
    std::fs::write(component, &bytes)?;
    Ok(bytes.len())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        eprintln!("usage: outlast-wasm-pack MODULE COMPONENT");
        return ExitCode::from(2);
    };
    match pack(module, component) {
        Ok(len) => {
            println!("{component}: {len} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{module}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
