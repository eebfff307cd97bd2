//! Writes the page: compiles the library to WebAssembly and puts it, as text in a script, beside the page's three files.
//!
//! ```sh
//! rustup target add wasm32-unknown-unknown
//! cargo run --release                         # then open target/page/index.html
//! cargo run --release -- DIR LECTURE          # another folder, and the address of the lecture page that it links to
//! ```

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::{Compression, write::GzEncoder};

/// Seen from target/page in this package.
const LECTURE: &str = "../../../lecture/README.md";

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut args = env::args().skip(1);
    let dir = args.next().map_or_else(|| package.join("target/page"), PathBuf::from);
    let lecture = args.next().unwrap_or_else(|| LECTURE.into());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm(package)?)?;
    // A script, because a page that was opened from disk may not fetch another file.
    let script = format!("const WASM = \"{}\";\n", BASE64_STANDARD.encode(gzip.finish()?));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let mut total = 0;
    for (name, text) in [
        ("index.html", include_str!("../page/index.html").replace(LECTURE, &lecture)),
        ("page.css", include_str!("../page/page.css").into()),
        ("page.js", include_str!("../page/page.js").into()),
        ("wasm.js", script),
    ] {
        let path = dir.join(name);
        fs::write(&path, &text).with_context(|| path.display().to_string())?;
        println!("{:7} bytes: {}", text.len(), path.display());
        total += text.len();
    }
    println!("{total:7} bytes in all");
    Ok(())
}

fn wasm(package: &Path) -> Result<Vec<u8>> {
    const TARGET: &str = "wasm32-unknown-unknown";
    // This program is target/release/page.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program is not in a target folder")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["rustc", "--profile", "wasm", "--locked", "--lib", "--crate-type", "cdylib", "--target", TARGET])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(["--", "-Ctarget-feature=+simd128"])
        .status()?;
    ensure!(status.success(), "the library was not compiled; `rustup target add {TARGET}` may be missing");
    let path = target.join(TARGET).join("wasm/page.wasm");
    fs::read(&path).with_context(|| path.display().to_string())
}
