//! Parameters at their ends, past them, through serde and schema, and while the filter runs.

use serde_json::{Map, Value, json};

use super::*;

/// A filter with one parameter at the end of its range.
fn extreme(info: &FilterInfo, index: usize, top: bool) -> Option<FilterSpec> {
    let param = &info.parameters[index];
    let max = exceptions::largest(info.name, param.name).or(param.max);
    let value = match param.kind {
        ParamKind::Number => json!(if top { max? } else { param.min? }),
        ParamKind::Integer => json!(if top { max? as u64 } else { param.min? as u64 }),
        ParamKind::Boolean => json!(top),
        ParamKind::Choice => json!(if top { param.choices.last()? } else { param.choices.first()? }),
        ParamKind::Layout => json!(if top { "7.1" } else { "mono" }),
        ParamKind::Matrix | ParamKind::List | ParamKind::Text => return None,
    };
    let mut object: Map<String, Value> = Map::new();
    object.insert("type".into(), json!(info.name));
    object.insert(param.name.into(), value);
    Some(FilterSpec::from_json(Value::Object(object)).unwrap())
}

fn extremes(info: &FilterInfo) -> Vec<FilterSpec> {
    (0..info.parameters.len())
        .flat_map(|i| [false, true].into_iter().filter_map(move |t| extreme(info, i, t)))
        .collect()
}

/// Whether the filter takes the stream; what it gives must be finite.
fn is_finite(spec: &FilterSpec, rate_hz: u32, channels: usize, frames: usize) -> bool {
    let stream = Spec::new(rate_hz, ChannelLayout::from_count(channels));
    let mut filter = spec.build().unwrap();
    // What does not fit a stream is refused with an error; what is accepted works.
    let Ok(prepared) = filter.prepare(stream, 1_024) else { return false };
    for channel in run(filter.as_mut(), &prepared, &signal(stream, frames), || 1_024) {
        assert!(channel.iter().all(|y| y.is_finite() && y.abs() < 1e5), "{spec:?} {rate_hz} {channels}");
    }
    true
}

#[test]
fn every_parameter_at_its_ends_stays_finite() {
    for info in filters() {
        let taken: usize = extremes(&info)
            .iter()
            .map(|spec| {
                [(8_000, 1), (44_100, 2), (192_000, 2)]
                    .into_iter()
                    .filter(|(r, c)| is_finite(spec, *r, *c, 2_048))
                    .count()
            })
            .sum();
        assert!(taken > 0 || extremes(&info).is_empty(), "{}", info.name);
    }
}

#[test]
fn every_rate_and_channel_count_works_or_is_refused() {
    for info in filters() {
        let spec = active(info.name);
        let mut plain = spec.build().unwrap();
        let counts = if heavy(&info, &plain.prepare(stereo(), 64).unwrap()) { 1..=2 } else { 1..=8 };
        let rates = [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000];
        let all = rates.into_iter().flat_map(|rate| counts.clone().map(move |count| (rate, count)));
        assert!(all.filter(|(r, c)| is_finite(&spec, *r, *c, 1_100)).count() > 0, "{}", info.name);
    }
}

#[test]
fn what_is_past_the_ends_is_refused_with_name_value_range_and_unit() {
    for info in filters() {
        for param in &info.parameters {
            let (Some(min), Some(max)) = (param.min, param.max) else { continue };
            for value in [min - 1.0, max + 1.0] {
                let json = match param.kind {
                    ParamKind::Integer => json!(value as i64),
                    _ => json!(value),
                };
                let error = FilterSpec::from_json(json!({ "type": info.name, param.name: json })).unwrap_err();
                let Error::OutOfRange { name, value: got, min: low, max: high, unit } = &error else {
                    panic!("{}.{}: {error}", info.name, param.name)
                };
                assert_eq!(*name, format!("{}.{}", info.name, param.name));
                assert_eq!((*got, *low, *high, *unit), (value, min, max, param.unit));
            }
        }
    }
}

#[test]
fn serde_and_text_give_back_what_they_took() {
    for info in filters() {
        for spec in extremes(&info).into_iter().chain([active(info.name)]) {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<FilterSpec>(&text).unwrap(), spec);
            assert_eq!(serde_saphyr::from_str::<FilterSpec>(&text).unwrap(), spec, "YAML");
            assert_eq!(FilterSpec::parse(&spec.to_string()).unwrap(), spec, "{spec}");
        }
    }
}

#[test]
fn the_schema_takes_what_serde_takes() {
    let schema = serde_json::to_value(schemars::schema_for!(FilterSpec)).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for info in filters() {
        let plain = json!({ "type": info.name });
        assert!(schema.is_valid(&plain), "{}", info.name);
        let full = serde_json::to_value(active(info.name)).unwrap();
        assert!(schema.is_valid(&full), "{}: {:?}", info.name, schema.validate(&full).map_err(|e| e.to_string()));
        assert!(!schema.is_valid(&json!({ "type": info.name, "no_such_field": 1 })), "{}", info.name);
        for param in &info.parameters {
            assert!(full.get(param.name).is_some(), "{}.{}", info.name, param.name);
            let curve = json!({ "type": info.name, param.name: [[0.0, param.default], [1.0, param.default]] });
            if param.kind == ParamKind::Number {
                assert_eq!(schema.is_valid(&curve), param.live, "{}.{}", info.name, param.name);
                assert_eq!(FilterSpec::from_json(curve).is_ok(), param.live, "{}.{}", info.name, param.name);
            }
        }
    }
}

#[test]
fn a_misspelt_field_is_refused_with_a_suggestion() {
    for info in filters() {
        for param in &info.parameters {
            let wrong = format!("{}x", param.name);
            let error = FilterSpec::from_json(json!({ "type": info.name, &wrong: param.default })).unwrap_err();
            let Error::UnknownName { suggestion: Some(suggestion), .. } = &error else { panic!("{error}") };
            assert_eq!(suggestion, param.name);
            // The same through serde alone, as recipes come.
            let text = json!({ "type": info.name, wrong: param.default }).to_string();
            let error = serde_json::from_str::<FilterSpec>(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean '{}'", param.name)), "{error}");
        }
    }
}

#[test]
fn live_is_what_the_filter_says_before_and_after_prepare() {
    let mut seen = 0;
    for info in filters() {
        let spec = active(info.name);
        let mut filter = spec.build().unwrap();
        for prepared in [false, true] {
            if prepared {
                filter.prepare(stereo(), 64).unwrap();
            }
            for (index, param) in info.parameters.iter().enumerate() {
                let now = spec.number(index).unwrap_or(1.0);
                assert_eq!(filter.set_parameter(index, now), param.live, "{}.{}", info.name, param.name);
                assert!(!filter.set_parameter(index, f64::NAN), "{}.{}", info.name, param.name);
                seen += usize::from(param.live);
            }
        }
        assert!(!filter.set_parameter(info.parameters.len(), 1.0), "{}", info.name);
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn a_value_set_before_the_first_frame_is_as_if_it_had_been_given() {
    for info in filters() {
        for (index, param) in info.parameters.iter().enumerate().filter(|(_, p)| p.live) {
            for value in [param.min, param.max].into_iter().flatten() {
                let value = if param.unit == "Hz" { value.min(15_000.0) } else { value };
                let mut spec = active(info.name);
                let mut live = spec.build().unwrap();
                if live.prepare(stereo(), 480).is_err() || !spec.set_number(index, value) {
                    continue;
                }
                live.set_parameter(index, value);
                live.reset();
                let mut given = spec.build().unwrap();
                let prepared = given.prepare(stereo(), 480).unwrap();
                let input = signal(stereo(), 3_000);
                let want = run(given.as_mut(), &prepared, &input, || 480);
                let got = run(live.as_mut(), &prepared, &input, || 480);
                assert!(same_bits(&want, &got), "{}.{} = {value}", info.name, param.name);
            }
        }
    }
}
