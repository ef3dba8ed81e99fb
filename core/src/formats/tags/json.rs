//! Metadata as the JSON that `puresound tags --json` prints.

use serde_json::{Map, Value, json};

use super::{Metadata, flac};

/// Names that the object itself uses.
const RESERVED: [&str; 3] = ["pictures", "chapters", "native"];

/// One flat object: every field under its key, a single value as a string, several as a list; then `pictures` (kind,
/// mime, description, bytes, blake3, width, height), `chapters` and `native` (kind, bytes).
pub fn to_json(meta: &Metadata) -> Value {
    let mut out = Map::new();
    for field in &meta.fields {
        let mut key = field.key.clone();
        if RESERVED.contains(&key.as_str()) {
            key.push('_');
        }
        let value = match &field.values[..] {
            [one] => json!(one),
            many => json!(many),
        };
        out.insert(key, value);
    }
    let pictures: Vec<Value> = meta
        .pictures
        .iter()
        .map(|p| {
            let mut picture = json!({
                "kind": p.kind, "mime": p.mime, "description": p.description, "bytes": p.data.len(),
                "blake3": blake3::hash(&p.data).to_hex().as_str(),
            });
            if let Some((width, height, _)) = flac::dimensions(&p.data) {
                picture["width"] = json!(width);
                picture["height"] = json!(height);
            }
            picture
        })
        .collect();
    out.insert("pictures".into(), json!(pictures));
    out.insert("chapters".into(), json!(meta.chapters));
    out.insert("native".into(), json!(meta.native));
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    #[test]
    fn one_value_is_a_string_and_several_are_a_list() {
        let field = |key: &str, values: &[&str]| Field {
            key: key.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        let meta = Metadata {
            fields: vec![field("title", &["T"]), field("artist", &["A", "B"]), field("pictures", &["x"])],
            ..Metadata::default()
        };
        let j = to_json(&meta);
        assert_eq!(j["title"], "T");
        assert_eq!(j["artist"], json!(["A", "B"]));
        assert_eq!((&j["pictures_"], &j["pictures"]), (&json!("x"), &json!([])));
    }
}
