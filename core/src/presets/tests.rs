use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::error::ErrorKind;
use crate::processing::LevelTarget;

fn store_with(files: &[(&str, &str)]) -> Result<PresetStore> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut store = PresetStore::built_in().unwrap();
    store.load_dir(dir.path()).map(|()| store)
}

/// A store that keeps what is made in `dir`.
fn own_store(dir: &Path) -> PresetStore {
    let mut store = PresetStore::built_in().unwrap();
    store.keep_in(dir.to_path_buf(), Arc::new(SystemFiles)).unwrap();
    store
}

/// A preset in JSON; `more` goes over it.
fn document(name: &str, version: u32, more: &Value) -> String {
    let mut document = json!({
        "name": name, "version": version, "category": "speech", "description": "Test.", "inherits": "podcast", "recipe": {},
    });
    merge(&mut document, more);
    document.to_string()
}

/// All files below a folder.
fn names(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn built_in_presets_follow_the_published_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Preset)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for preset in PresetStore::built_in().unwrap().iter() {
        let value = serde_json::to_value(&preset).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", preset.name);
    }
}

#[test]
fn built_in_presets_are_what_own_ones_must_be() {
    for (file, text) in BUILT_IN {
        let (name, document) = read_document(file, text).unwrap();
        let preset = PresetStore::built_in().unwrap().get(&name).unwrap();
        validate::check(&preset, &document).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

#[test]
fn children_override_and_the_rest_is_inherited() {
    let text = "{name: mine, version: 1, category: test, description: x, inherits: podcast, recipe: {level: {integrated_lufs: -18}}}";
    let store = store_with(&[("mine.yaml", text)]).unwrap();
    let (mine, podcast) = (store.get("mine").unwrap().recipe, store.get("podcast").unwrap().recipe);
    assert_eq!(mine.filters, podcast.filters);
    let level = mine.level.unwrap();
    assert_eq!(level, LevelTarget::Loudness { integrated_lufs: -18.0, true_peak_dbtp: -1.0 });
    let over = json!({"level": {"measure": "rms", "rms_dbfs": -20, "true_peak_dbtp": -3}});
    assert!(matches!(
        store.recipe("podcast", &over).unwrap().level,
        Some(LevelTarget::Rms { rms_dbfs, .. }) if rms_dbfs == -20.0
    ));
    assert_eq!(store.origin("mine").unwrap(), PresetOrigin::Folder);
    assert_eq!(store.origin("podcast").unwrap(), PresetOrigin::BuiltIn);
}

#[test]
fn circles_unknown_parents_and_unknown_fields_are_named() {
    let base = "version: 1, category: test, description: x, recipe: {}";
    let circle = [
        ("a.yaml", format!("{{name: a, inherits: b, {base}}}")),
        ("b.yaml", format!("{{name: b, inherits: a, {base}}}")),
    ];
    let files: Vec<_> = circle.iter().map(|(n, t)| (*n, t.as_str())).collect();
    assert!(matches!(store_with(&files), Err(Error::Conflict { .. })));
    let orphan = format!("{{name: a, inherits: podcats, {base}}}");
    let error = store_with(&[("a.yaml", &orphan)]).unwrap_err();
    assert!(error.to_string().contains("did you mean 'podcast'"), "{error}");
    let typo = "{name: a, version: 1, category: t, description: x, recipe: {levle: {}}}";
    let error = store_with(&[("a.yaml", typo)]).unwrap_err();
    assert!(error.to_string().contains("levle"), "{error}");
}

#[test]
fn what_is_made_holds_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("not/there/yet");
    let store = own_store(&home);
    let text = format!("# with a comment\n{}", document("interview", 1, &json!({"recipe": {"rate_hz": 44_100}})));
    let made = store.create(&text, false).unwrap();
    assert_eq!((made.recipe.rate_hz, made.recipe.level), (Some(44_100), store.get("podcast").unwrap().recipe.level));
    for store in [&store, &own_store(&home)] {
        assert_eq!(store.get("interview").unwrap(), made);
        assert_eq!(store.origin("interview").unwrap(), PresetOrigin::Own);
        assert!(store.iter().any(|p| p.name == "interview") && store.problems().is_empty());
        assert_eq!(store.recipe("interview", &json!({})).unwrap().rate_hz, Some(44_100));
    }
    assert_eq!(names(&home), ["interview.yaml"]);
    assert_eq!(std::fs::read_to_string(home.join("interview.yaml")).unwrap(), text, "as it was written");
    store.create(&text, false).unwrap();

    // A child of a preset of one's own; neither can go alone.
    store.create(&document("child", 1, &json!({"inherits": "interview"})), false).unwrap();
    assert_eq!(store.get("child").unwrap().recipe.rate_hz, Some(44_100));
    let error = store.remove("interview").unwrap_err();
    assert!(error.to_string().contains("'child' inherits"), "{error}");
    store.remove("child").unwrap();
    store.remove("interview").unwrap();
    assert!(names(&home).is_empty() && store.get("interview").is_err());
    assert!(matches!(store.remove("interview"), Err(Error::UnknownName { .. })));
    assert!(matches!(store.remove("podcast"), Err(Error::Conflict { .. })));
}

#[test]
fn a_replaced_preset_stays_under_its_version() {
    let dir = tempfile::tempdir().unwrap();
    let store = own_store(dir.path());
    let rate = |version, hz: u32| document("mine", version, &json!({"recipe": {"rate_hz": hz}}));
    store.create(&rate(1, 44_100), false).unwrap();
    let refused = |text: &str, replace| store.create(text, replace).unwrap_err().to_string();
    assert!(refused(&rate(2, 48_000), false).contains("exists in version 1"));
    assert!(refused(&rate(1, 48_000), true).contains("must have a higher one"));
    store.create(&rate(2, 48_000), true).unwrap();
    assert_eq!(names(dir.path()), ["mine.yaml", "versions/mine@1.yaml"]);
    for store in [&store, &own_store(dir.path())] {
        assert_eq!(store.versions("mine").unwrap(), [1, 2]);
        let rate_of = |name: &str| store.get(name).unwrap().recipe.rate_hz;
        assert_eq!((rate_of("mine"), rate_of("mine@1"), rate_of("mine@2")), (Some(48_000), Some(44_100), Some(48_000)));
        assert!(store.get("mine@3").is_err() && store.get("podcast@1").is_ok());
        assert_eq!(store.iter().filter(|p| p.name == "mine").count(), 1);
        let diff = store.diff("mine@1", "mine").unwrap();
        let paths: Vec<_> = diff.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["recipe.rate_hz", "version"]);
        assert_eq!((diff[0].left.clone(), diff[0].right.clone()), (Some(json!(44_100)), Some(json!(48_000))));
    }
    // A child may hold on to a version.
    store.create(&document("pinned", 1, &json!({"inherits": "mine@1"})), false).unwrap();
    assert_eq!(store.get("pinned").unwrap().recipe.rate_hz, Some(44_100));
    assert_eq!(store.versions("podcast").unwrap(), [1]);
}

#[test]
fn what_is_wrong_is_told_at_once_and_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = own_store(dir.path());
    let bad = json!({
        "layout": 1, "category": "E-Learning", "version": 0, "description": " ",
        "sources": {"recipe.filters.highpas": "x", "recipe.filters.highpass": "y"},
        "recipe": {"outputs": [{"path": "a.wav"}]},
    });
    let error = store.create(&document("mine", 1, &bad), false).unwrap_err();
    let Error::Invalid { problems, .. } = &error else { panic!("{error}") };
    let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["category", "version", "description", "recipe.outputs", "sources"], "{error}");
    assert!(error.to_string().contains("highpas' is no value"), "{error}");
    for name in ["Mine", "../mine", "a b", "1a", ""] {
        let error = store.create(&document(name, 1, &json!({})), false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{name}: {error}");
    }
    for (more, words) in [
        (json!({"recipe": {"filters": [{"type": "highpass", "cutoff_hz": -1}]}}), "cutoff_hz is -1"),
        (json!({"inherits": "podcats"}), "did you mean 'podcast'"),
        (json!({"inherits": "mine"}), "in a circle"),
        (json!({"layout": 99}), "newer library"),
        (json!({"recipe": {"levl": 1}}), "levl"),
    ] {
        let error = store.create(&document("mine", 1, &more), false).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(matches!(store.create(&document("podcast", 2, &json!({})), true), Err(Error::Conflict { .. })));
    assert!(names(dir.path()).is_empty());
    let without = PresetStore::built_in().unwrap();
    assert!(without.validate(&document("mine", 1, &json!({}))).is_ok());
    let error = without.create(&document("mine", 1, &json!({})), false).unwrap_err();
    assert!(error.to_string().starts_with("presets.dir"), "{error}");
}

#[test]
fn a_change_that_breaks_a_child_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = own_store(dir.path());
    store.create(&document("mine", 1, &json!({"recipe": {"level": null, "filters": []}})), false).unwrap();
    store.create(&document("child", 1, &json!({"inherits": "mine", "recipe": {"bit_exact": true}})), false).unwrap();
    let louder = document("mine", 2, &json!({"recipe": {"filters": []}}));
    let error = store.create(&louder, true).unwrap_err();
    assert!(error.to_string().contains("another preset inherits from 'mine'"), "{error}");
    assert_eq!(names(dir.path()).iter().filter(|name| *name == "mine.yaml").count(), 1);
    assert_eq!(store.get("mine").unwrap().version, 1);
}

#[test]
fn a_broken_file_of_the_user_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("good.yaml", &document("good", 1, &json!({})));
    write("other.yaml", &document("mine", 1, &json!({})));
    write("podcast.yaml", &document("podcast", 1, &json!({})));
    write("syntax.yaml", "a: [");
    write("orphan.yaml", &document("orphan", 1, &json!({"inherits": "gone"})));
    let store = own_store(dir.path());
    assert!(store.get("good").is_ok() && store.get("orphan").is_err());
    let problems = store.problems();
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems.iter().all(|p| p.place.contains(".yaml") && !p.message.is_empty()), "{problems:?}");
}

#[test]
fn an_export_stands_alone_and_cannot_change_unnoticed() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = own_store(here.path());
    store.create(&document("base", 1, &json!({"recipe": {"rate_hz": 44_100}})), false).unwrap();
    let made = store.create(&document("mine", 3, &json!({"inherits": "base"})), false).unwrap();
    let text = store.export("mine").unwrap();
    assert_eq!(text, store.export("mine").unwrap());
    let other = own_store(there.path());
    let got = other.import(&text, false).unwrap();
    assert_eq!(got.recipe, made.recipe);
    assert_eq!((got.version, got.inherits, &got.sources), (3, None, &made.sources));
    assert_eq!(other.export("mine").unwrap(), text, "and back again");
    assert_eq!(names(there.path()), ["mine.yaml"]);
    // It is a preset file as well.
    assert_eq!(store_with(&[("mine.yaml", &text)]).unwrap().get("mine").unwrap().recipe, made.recipe);

    let empty = tempfile::tempdir().unwrap();
    let third = own_store(empty.path());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let error = third.import(&changed, false).expect_err("a changed byte");
        assert!(matches!(error, Error::Malformed { .. }), "byte {at}: {error}");
    }
    for cut in [0, 10, text.len() / 2, text.len() - 1] {
        assert!(matches!(third.import(&text[..cut], false), Err(Error::Malformed { .. })), "{cut} bytes");
    }
    assert!(matches!(third.import(&format!("{text}\n"), false), Err(Error::Malformed { .. })));
    assert!(names(empty.path()).is_empty());
}

#[test]
fn differences_are_told_by_field_and_filters_by_their_kind() {
    let highpass = |cutoff_hz: f64| json!({"type": "highpass", "cutoff_hz": cutoff_hz});
    let preset = |filters: Value| {
        let text = document("x", 1, &json!({"recipe": {"filters": filters}}));
        PresetStore::built_in().unwrap().validate(&text).unwrap()
    };
    let left = preset(json!([highpass(80.0), {"type": "gain", "gain_db": 1.0}, highpass(100.0)]));
    let right = preset(json!([highpass(80.0), highpass(120.0)]));
    let found = diff::differences(&left, &right).unwrap();
    let paths: Vec<_> = found.iter().map(|d| d.path.as_str()).filter(|p| !p.contains(".gain.")).collect();
    assert_eq!(paths, ["recipe.filters (in order)", "recipe.filters.highpass#2.cutoff_hz"]);
    assert_eq!(found[0].left, Some(json!(["highpass", "gain", "highpass#2"])));
    assert!(found.iter().any(|d| d.path == "recipe.filters.gain.gain_db" && d.right.is_none()));
    assert!(diff::differences(&left, &left).unwrap().is_empty());
}

#[test]
fn categories_group_all_presets() {
    let store = store_with(&[("a.yaml", &document("a", 1, &json!({"category": "Léctures x"})))]).unwrap();
    let all = store.categories();
    let count: usize = all.iter().map(|c| c.presets.len()).sum();
    assert_eq!(count, store.iter().count());
    assert_eq!(all[0].name, "podcast");
    assert_eq!(all[0].presets, ["podcast", "podcast_mono"]);
    assert_eq!(all.last().unwrap().name, "l_ctures_x", "a category of layout 0 is made a word");
}
