//! Sets the cfg of the models here, where no other crate sees it.

fn main() {
    println!("cargo::rustc-cfg=backstop_loom");
}
