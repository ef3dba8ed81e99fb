//! The layout of preset files, and how older ones are brought up to date.
//!
//! | layout | how it differs from the one before |
//! |---|---|
//! | 0 | no key `layout`; `version`, `category` and `description` may be missing; categories are any text |
//! | 1 | `layout: 1`; all of them are there; categories are snake_case |

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The layout that this library writes.
pub const LAYOUT: u32 = 1;

/// One step: from its index to the next layout.
type Step = fn(&mut Map<String, Value>);

const STEPS: [Step; LAYOUT as usize] = [from_0];

/// Brings a document to the present layout. What is no object stays as it is: it is refused where it is read.
pub(super) fn migrate(document: &mut Value) -> Result<()> {
    let Some(fields) = document.as_object_mut() else { return Ok(()) };
    let layout = match fields.get("layout") {
        None => 0,
        Some(value) => value.as_u64().ok_or_else(|| Error::InvalidValue {
            name: "layout".into(),
            value: value.to_string(),
            allowed: format!("0 to {LAYOUT}"),
        })?,
    };
    if layout > u64::from(LAYOUT) {
        return Err(Error::Unsupported {
            what: "preset layout",
            value: layout.to_string(),
            hint: Some(format!("it was made for a newer library; this one reads layouts up to {LAYOUT}")),
        });
    }
    for step in &STEPS[usize::try_from(layout).unwrap_or(STEPS.len())..] {
        step(fields);
    }
    fields.insert("layout".into(), LAYOUT.into());
    Ok(())
}

fn from_0(fields: &mut Map<String, Value>) {
    let inherits = fields.contains_key("inherits");
    // A child takes what it does not say from its parent, but its version is its own.
    fields.entry("version").or_insert_with(|| 1.into());
    if !inherits {
        fields.entry("category").or_insert_with(|| "custom".into());
        fields.entry("description").or_insert_with(|| "No description.".into());
    }
    if let Some(Value::String(category)) = fields.get_mut("category") {
        *category = snake_case(category);
    }
}

/// `E-Learning` becomes `e_learning`. What has no letter or digit stays: it is refused later.
fn snake_case(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("_");
    if joined.is_empty() { text.to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_without_layout_gets_what_it_lacks() {
        let mut old = json!({ "name": "mine", "category": "E-Learning / new", "recipe": {} });
        migrate(&mut old).unwrap();
        let wanted = json!({
            "name": "mine", "category": "e_learning_new", "recipe": {}, "version": 1, "description": "No description.",
            "layout": LAYOUT,
        });
        assert_eq!(old, wanted);
        let mut again = old.clone();
        migrate(&mut again).unwrap();
        assert_eq!(again, old, "the present layout stays as it is");
        let mut child = json!({ "name": "mine", "inherits": "podcast" });
        migrate(&mut child).unwrap();
        assert_eq!(child, json!({ "name": "mine", "inherits": "podcast", "version": 1, "layout": LAYOUT }));
    }

    #[test]
    fn newer_and_strange_layouts_are_refused() {
        let newer = migrate(&mut json!({ "layout": LAYOUT + 1 })).unwrap_err();
        assert!(matches!(newer, Error::Unsupported { what: "preset layout", .. }), "{newer}");
        for strange in [json!("1"), json!(-1), json!(0.5), json!(null)] {
            assert!(matches!(migrate(&mut json!({ "layout": strange })), Err(Error::InvalidValue { .. })), "{strange}");
        }
    }
}
