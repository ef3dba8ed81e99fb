//! Prints `core/src/schema/all.json`: `cargo run --example schemas`. `tests/update-generated` writes it.

fn main() {
    print!("{}", pure_sound::schema::generate());
}
