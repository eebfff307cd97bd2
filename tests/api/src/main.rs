//! Prints the public API, an item per line. Its argument is the path of rustdoc's JSON.

use std::{env, error::Error};

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let json = env::args().nth(1).ok_or("expected the path of rustdoc's JSON")?;
    let api = Builder::from_rustdoc_json(json).include_function_parameter_names(true).omit_blanket_impls(true);
    print!("{}", api.build()?);
    Ok(())
}
