//! Recipes as programs write them: JSON with short forms, over a preset.

use serde_json::{Map, Value, json};

use super::Recipe;
use crate::error::{Error, Result};
use crate::filters::FilterSpec;
use crate::presets::PresetStore;

/// The recipe that `request` asks for; see [`crate::Engine::recipe`].
pub(crate) fn recipe_of(presets: &PresetStore, request: &Value) -> Result<Recipe> {
    let Value::Object(fields) = request else {
        return Err(wrong(&request.to_string()));
    };
    let mut fields = fields.clone();
    let preset = fields.shift_remove("preset").filter(|name| !name.is_null());
    expand(&mut fields)?;
    let recipe = Value::Object(fields);
    match preset {
        Some(Value::String(name)) => presets.recipe(&name, &recipe),
        Some(other) => Err(Error::InvalidValue {
            name: "preset".into(),
            value: other.to_string(),
            allowed: "the name of a preset".into(),
        }),
        None => serde_json::from_value(recipe).map_err(|e| wrong(&e.to_string())),
    }
}

/// Writes out the short forms: `output`, outputs that are paths, filters as on the command line.
fn expand(fields: &mut Map<String, Value>) -> Result<()> {
    if let Some(output) = fields.shift_remove("output") {
        // Whole recipes, such as those of recommendations, have an empty list.
        let is_given = |outputs: &Value| outputs.as_array().is_none_or(|list| !list.is_empty());
        if fields.get("outputs").is_some_and(is_given) {
            return Err(Error::Conflict { what: "give output or outputs, not both".into() });
        }
        let outputs = if output.is_array() { output } else { json!([output]) };
        fields.insert("outputs".into(), outputs);
    }
    for output in list(fields, "outputs") {
        if let Value::String(path) = output {
            *output = json!({ "path": path });
        }
    }
    for filter in list(fields, "filters") {
        if let Value::String(text) = filter {
            let spec = FilterSpec::parse(text)?;
            *filter = serde_json::to_value(spec).map_err(|e| Error::internal(e.to_string()))?;
        }
    }
    Ok(())
}

fn list<'a>(fields: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Value> {
    fields.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn wrong(value: &str) -> Error {
    Error::InvalidValue { name: "recipe".into(), value: value.into(), allowed: "fields of a recipe".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processing::LevelTarget;

    fn recipe(request: Value) -> Result<Recipe> {
        recipe_of(&PresetStore::built_in().unwrap(), &request)
    }

    #[test]
    fn short_forms_mean_the_long_ones() {
        let short = json!({ "input": "a.wav", "output": "b.opus", "filters": ["highpass:cutoff_hz=90"] });
        let long = json!({
            "input": "a.wav", "outputs": [{ "path": "b.opus" }], "filters": [{ "type": "highpass", "cutoff_hz": 90 }],
        });
        assert_eq!(recipe(short).unwrap(), recipe(long).unwrap());
        let two = recipe(json!({ "output": ["b.opus", { "path": "c.wav" }] })).unwrap();
        assert_eq!(two.outputs.len(), 2);
    }

    #[test]
    fn a_request_goes_over_its_preset_and_the_report_will_name_it() {
        let level = json!({ "measure": "loudness", "integrated_lufs": -19.0 });
        let podcast = recipe(json!({ "preset": "podcast", "level": level })).unwrap();
        assert_eq!(podcast.preset.as_deref(), Some("podcast"));
        assert!(!podcast.filters.is_empty());
        let Some(LevelTarget::Loudness { integrated_lufs, .. }) = podcast.level else { panic!("{podcast:?}") };
        assert_eq!(integrated_lufs, -19.0);
        assert_eq!(recipe(json!({ "preset": null })).unwrap(), Recipe::default());
    }

    #[test]
    fn a_whole_recipe_takes_an_output() {
        let whole = serde_json::to_value(recipe(json!({ "preset": "podcast" })).unwrap()).unwrap();
        assert_eq!(whole["outputs"], json!([]));
        let mut asked = whole.clone();
        asked["output"] = "a.wav".into();
        assert_eq!(recipe(asked).unwrap().outputs[0].path, std::path::Path::new("a.wav"));
    }

    #[test]
    fn mistakes_are_named() {
        let mistakes = [
            (json!({ "preset": "podcats" }), "did you mean 'podcast'"),
            (json!({ "preset": 3 }), "preset: '3'"),
            (json!([]), "recipe: '[]'"),
            (json!({ "outputz": [] }), "unknown field `outputz`"),
            (json!({ "output": "a.wav", "outputs": ["b.wav"] }), "not both"),
            (json!({ "filters": ["highpas"] }), "did you mean 'highpass'"),
        ];
        for (request, words) in mistakes {
            let message = recipe(request.clone()).unwrap_err().to_string();
            assert!(message.contains(words), "{request}: {message}");
        }
    }
}
