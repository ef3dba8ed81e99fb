//! The configuration beside what it is about: JSON Schema as an independent validator sees it, and the defaults of the formats.

use proptest::prelude::*;
use pure_sound::Error;
use pure_sound::config::{Config, ConfigOptions, Settings, settings_schema};
use pure_sound::events::EventBus;
use pure_sound::formats::Limits;
use serde_json::{Value, json};

#[test]
fn limits_default_to_those_of_the_formats() {
    let settings = serde_json::to_value(Settings::default().limits).unwrap();
    assert_eq!(settings, serde_json::to_value(Limits::default().resolved()).unwrap());
}

/// Values that are near the borders of what keys allow, and of every type.
fn values() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2..2000_i64).prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        (-4..4000_i32).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        prop::sample::select(vec![1024, 1_048_576, 16_777_216, 1_073_741_824, 4_294_967_296_u64, 31_536_000])
            .prop_flat_map(|n| n - 1..=n + 1)
            .prop_map(Value::from),
    ];
    let words = prop::sample::select(vec!["", "a", "info", "off", "INFO", "trace", "1", "null"]).prop_map(Value::from);
    let plain = prop_oneof![4 => numbers, 1 => words, 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)];
    let list = prop::collection::vec(plain.clone(), 0..3).prop_map(Value::from);
    prop_oneof![8 => plain, 1 => list, 1 => Just(json!({"a": 1}))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Our checks say of each value of each key what the validator says of the document.
    #[test]
    fn checks_equal_the_json_schema(index in any::<prop::sample::Index>(), value in values()) {
        static SHARED: std::sync::LazyLock<(Config, jsonschema::Validator)> =
            std::sync::LazyLock::new(|| (Config::load(ConfigOptions::new(), &EventBus::default()).unwrap(), jsonschema::validator_for(&settings_schema()).unwrap()));
        let (config, validator) = &*SHARED;
        let paths: Vec<&str> = config.keys().map(|(path, _)| path).collect();
        let path = *index.get(&paths);
        let (section, name) = path.split_once('.').unwrap();
        let allowed = validator.is_valid(&json!({ section: { name: value.clone() } }));
        let ours = match config.set("test", [(path.to_owned(), value.clone())]) {
            Ok(_) => true,
            // What contradicts another key is no matter of the schema.
            Err(Error::Invalid { problems, .. }) => !problems.iter().any(|p| p.message.contains("allowed is")),
            Err(other) => panic!("{other}"),
        };
        config.unset(None).unwrap();
        prop_assert_eq!(ours, allowed, "{} = {}", path, value);
    }
}

#[test]
fn the_schema_itself_is_one() {
    assert!(jsonschema::meta::is_valid(&settings_schema()));
    let validator = jsonschema::validator_for(&settings_schema()).unwrap();
    assert!(validator.is_valid(&serde_json::to_value(Settings::default()).unwrap()));
    assert!(!validator.is_valid(&json!({"limits": {"max_chanels": 1}})));
}
