//! Tells cargo what besides the sources goes into the program.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
