//! Tells the crate whether ggml's C sources call our matrix product in the place of their own.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(own_matmul)");
    println!("cargo::rerun-if-env-changed=CMAKE_C_FLAGS");
    let flags = std::env::var("CMAKE_C_FLAGS").unwrap_or_default();
    if flags.contains("-Dllamafile_sgemm=auricle_sgemm") {
        println!("cargo::rustc-cfg=own_matmul");
    }
}
