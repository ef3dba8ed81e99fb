//! What a result depends on, as one number.

use serde_json::Value;

/// Name of a stored value: a BLAKE3 of everything that it depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of what `operation` makes of an input for a tenant.
    ///
    /// `input` is the BLAKE3 of all bytes of the input. `operation` is the whole graph as JSON, with every default written out and without
    /// places; the order of its keys does not matter. `namespace` separates what hosts do differently: decoders or services of their own.
    /// The version of the engine counts, too. Keys of different tenants never meet, so that nobody can find out what others have processed.
    pub fn new(input: &[u8; 32], operation: &Value, namespace: &str, tenant: Option<&str>) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("pure-sound cache key 1");
        let mut part = |bytes: &[u8]| {
            // With their lengths, so that no two lists of parts read the same.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(input);
        part(canonical(operation).as_bytes());
        part(env!("CARGO_PKG_VERSION").as_bytes());
        part(namespace.as_bytes());
        match tenant {
            None => part(&[0]),
            Some(tenant) => {
                part(&[1]);
                part(tenant.as_bytes());
            }
        }
        Self(hasher.finalize().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CacheKey({})", self.to_hex())
    }
}

/// JSON in one form: keys sorted, no space.
fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(operation: &Value) -> CacheKey {
        CacheKey::new(&[1; 32], operation, "", None)
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let base = json!({ "a": { "x": 1, "y": [1, 2] }, "b": -16.5 });
        assert_eq!(key(&base), key(&json!({ "b": -16.5, "a": { "y": [1, 2], "x": 1 } })));
        let others = [
            json!({ "a": { "x": 1, "y": [2, 1] }, "b": -16.5 }),
            json!({ "a": { "x": 1, "y": [1, 2] }, "b": -16.500000000000004 }),
            json!({ "a": { "x": 1.0, "y": [1, 2] }, "b": -16.5 }),
            json!({ "a": { "x": 1, "y": [1, 2] } }),
        ];
        let mut all: Vec<CacheKey> = others.iter().map(key).collect();
        all.push(key(&base));
        all.push(CacheKey::new(&[2; 32], &base, "", None));
        all.push(CacheKey::new(&[1; 32], &base, "n", None));
        all.push(CacheKey::new(&[1; 32], &base, "", Some("")));
        all.push(CacheKey::new(&[1; 32], &base, "", Some("a")));
        all.push(CacheKey::new(&[1; 32], &base, "a", Some("")));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
