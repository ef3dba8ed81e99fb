//! puresound
fn main() {}
