//! JSON values as bytes, exactly: a float comes back with the same bits, which text does not promise.
//!
//! One byte says what follows: null, false, true, `u64`, `i64`, `f64` (little-endian), text, list, object (with a length as LEB128).

use serde_json::{Map, Number, Value};

/// Deepest nesting that is read; reports have less than ten levels.
const MAX_DEPTH: u32 = 64;

pub(crate) fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(value, &mut bytes);
    bytes
}

/// The value, or none for bytes that `pack` cannot have made. They may come from strangers: no more memory is taken than their number allows.
pub(crate) fn unpack(mut bytes: &[u8]) -> Option<Value> {
    let value = take(&mut bytes, 0)?;
    bytes.is_empty().then_some(value)
}

fn put(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Null => to.push(0),
        Value::Bool(no_or_yes) => to.push(1 + u8::from(*no_or_yes)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => put_word(3, n.to_le_bytes(), to),
            (None, Some(n)) => put_word(4, n.to_le_bytes(), to),
            // What is no integer is a float.
            (None, None) => put_word(5, number.as_f64().unwrap_or(f64::NAN).to_le_bytes(), to),
        },
        Value::String(text) => {
            to.push(6);
            put_text(text, to);
        }
        Value::Array(items) => {
            to.push(7);
            put_length(items.len(), to);
            items.iter().for_each(|item| put(item, to));
        }
        Value::Object(fields) => {
            to.push(8);
            put_length(fields.len(), to);
            for (key, value) in fields {
                put_text(key, to);
                put(value, to);
            }
        }
    }
}

fn put_word(tag: u8, word: [u8; 8], to: &mut Vec<u8>) {
    to.push(tag);
    to.extend(word);
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    put_length(text.len(), to);
    to.extend(text.as_bytes());
}

fn put_length(length: usize, to: &mut Vec<u8>) {
    let mut rest = length as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

fn take(from: &mut &[u8], depth: u32) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match take_bytes(from, 1)?[0] {
        0 => Value::Null,
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => u64::from_le_bytes(take_word(from)?).into(),
        4 => i64::from_le_bytes(take_word(from)?).into(),
        5 => Value::Number(Number::from_f64(f64::from_le_bytes(take_word(from)?))?),
        6 => Value::String(take_text(from)?),
        7 => {
            let count = take_length(from)?;
            // Grows as items come: the number may be a lie.
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(take(from, depth + 1)?);
            }
            Value::Array(items)
        }
        8 => {
            let count = take_length(from)?;
            let mut fields = Map::new();
            for _ in 0..count {
                let key = take_text(from)?;
                fields.insert(key, take(from, depth + 1)?);
            }
            Value::Object(fields)
        }
        _ => return None,
    })
}

fn take_bytes<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(bytes)
}

fn take_word(from: &mut &[u8]) -> Option<[u8; 8]> {
    take_bytes(from, 8)?.try_into().ok()
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = take_length(from)?;
    String::from_utf8(take_bytes(from, length)?.to_vec()).ok()
}

fn take_length(from: &mut &[u8]) -> Option<usize> {
    let mut length = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = take_bytes(from, 1)?[0];
        length |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(length).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            ".{0,200}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_come_back_as_they_were(value in values()) {
            let bytes = pack(&value);
            prop_assert_eq!(unpack(&bytes), Some(value));
            for cut in 0..bytes.len().min(40) {
                prop_assert_eq!(unpack(&bytes[..cut]), None);
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(value) = unpack(&bytes) {
                prop_assert_eq!(unpack(&pack(&value)), Some(value));
            }
        }
    }

    #[test]
    fn floats_keep_their_bits_and_lies_about_lengths_cost_nothing() {
        for bits in [0x4009_21fb_5444_2d18_u64, 1, 0x8000_0000_0000_0000, 0x7fef_ffff_ffff_ffff] {
            let value = json!(f64::from_bits(bits));
            assert_eq!(unpack(&pack(&value)).and_then(|v| v.as_f64()).map(f64::to_bits), Some(bits));
        }
        let huge = [7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(unpack(&huge), None);
        assert_eq!(unpack(&[&[6], &huge[1..]].concat()), None);
        assert_eq!(unpack(&[7, 1].repeat(1000)), None, "deeper than anything that is written");
    }
}
