//! Sets up the linking of a Node-API addon. One that is shipped has no table of the symbols that nobody calls: a seventh of its size.

fn main() {
    napi_build::setup();
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo:rustc-link-arg-cdylib=-Wl,--strip-all");
    }
}
