//! Links a program for a Cortex-M by `memory.x`, which says where its memory is.

fn main() {
    println!("cargo::rerun-if-changed=memory.x");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        println!("cargo::rustc-link-search={}", std::env::var("CARGO_MANIFEST_DIR").unwrap());
        println!("cargo::rustc-link-arg=-Tlink.x");
    }
}
