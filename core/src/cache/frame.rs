//! How values lie in stores: with their kind, their key and a seal over all of it.
//!
//! ```text
//! "PSNDCAC1"  kind (1)  key (32)  length of the value (8, little-endian)  value  seal (32)
//! ```
//!
//! The seal is a keyed BLAKE3 of everything before it. Without a secret its key is the same everywhere, and it is a checksum: damage is
//! found. With a secret nobody else can make a value, whoever may write to the store. As the key is under the seal, a value cannot be moved
//! to another place either.

use std::io::{self, Read, Write};

use super::CacheKey;

const MAGIC: &[u8; 8] = b"PSNDCAC1";
const HEAD: usize = MAGIC.len() + 1 + 32 + 8;
const SEAL: usize = 32;
/// Bytes of a frame beside its value.
pub(crate) const OVERHEAD: usize = HEAD + SEAL;
/// Bytes that are copied at a time.
const BLOCK: usize = 1 << 16;

/// What a stored value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Result of [`Engine::measure`](crate::Engine::measure).
    Loudness,
    /// Result of [`Engine::analyse`](crate::Engine::analyse).
    Analysis,
    /// Result of [`Engine::quality`](crate::Engine::quality).
    Quality,
    /// Result of [`Engine::process`](crate::Engine::process), without the bytes of its outputs.
    Report,
    /// Bytes of an output.
    Output,
    /// What a host keeps for itself.
    Custom,
    /// Result of [`Engine::classify`](crate::Engine::classify).
    Content,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Loudness => 1,
            Self::Analysis => 2,
            Self::Quality => 3,
            Self::Report => 4,
            Self::Output => 5,
            Self::Custom => 6,
            Self::Content => 7,
        }
    }
}

/// What came of a look into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It was there and is whole.
    Hit,
    /// It is not there.
    Miss,
    /// What is there is not what was written.
    Bad,
}

/// Makes and checks seals.
#[derive(Clone)]
pub(crate) struct Seal([u8; 32]);

impl Seal {
    pub fn new(secret: Option<&str>) -> Self {
        Self(blake3::derive_key("pure-sound cache seal 1", secret.unwrap_or_default().as_bytes()))
    }

    /// Writes a value of `length` bytes from `from`.
    pub fn write(
        &self,
        kind: Kind,
        key: &CacheKey,
        length: u64,
        from: &mut dyn Read,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        let head = head(kind, key, length);
        hasher.update(&head);
        to.write_all(&head)?;
        let mut block = vec![0; BLOCK.min(usize::try_from(length).unwrap_or(BLOCK).max(1))];
        let mut left = length;
        while left > 0 {
            let want = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            from.read_exact(&mut block[..want])?;
            hasher.update(&block[..want]);
            to.write_all(&block[..want])?;
            left -= want as u64;
        }
        to.write_all(hasher.finalize().as_bytes())
    }

    /// A whole frame in memory.
    #[cfg(any(test, feature = "redis"))]
    pub fn frame(&self, kind: Kind, key: &CacheKey, value: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(value.len() + OVERHEAD);
        frame.extend(head(kind, key, value.len() as u64));
        frame.extend(value);
        let seal = blake3::keyed_hash(&self.0, &frame);
        frame.extend(seal.as_bytes());
        frame
    }

    /// The value of a frame, when it is the one that was asked for and nothing has changed.
    #[cfg(any(test, feature = "redis"))]
    pub fn open<'a>(&self, kind: Kind, key: &CacheKey, frame: &'a [u8]) -> Option<&'a [u8]> {
        let (sealed, seal) = frame.split_last_chunk::<SEAL>()?;
        let value = sealed.get(HEAD..)?;
        // Comparing hashes takes the same time wherever they differ.
        let good = sealed[..HEAD] == head(kind, key, value.len() as u64)
            && blake3::keyed_hash(&self.0, sealed) == blake3::Hash::from_bytes(*seal);
        good.then_some(value)
    }

    /// Copies the value of a frame of `frame_length` bytes. What was written to `to` counts only after [`Look::Hit`].
    ///
    /// # Errors
    /// Those of writing. Whatever goes wrong with reading is [`Look::Bad`].
    pub fn copy(
        &self,
        kind: Kind,
        key: &CacheKey,
        frame_length: u64,
        from: &mut dyn Read,
        to: &mut dyn Write,
    ) -> io::Result<Look> {
        let Some(length) = frame_length.checked_sub(OVERHEAD as u64) else { return Ok(Look::Bad) };
        let mut found = [0; HEAD];
        if from.read_exact(&mut found).is_err() || found != head(kind, key, length) {
            return Ok(Look::Bad);
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&found);
        let mut block = vec![0; BLOCK.min(usize::try_from(length).unwrap_or(BLOCK).max(1))];
        let mut left = length;
        while left > 0 {
            let want = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if from.read_exact(&mut block[..want]).is_err() {
                return Ok(Look::Bad);
            }
            hasher.update(&block[..want]);
            to.write_all(&block[..want])?;
            left -= want as u64;
        }
        let mut seal = [0; SEAL];
        let whole = from.read_exact(&mut seal).is_ok() && hasher.finalize() == blake3::Hash::from_bytes(seal);
        Ok(if whole { Look::Hit } else { Look::Bad })
    }
}

fn head(kind: Kind, key: &CacheKey, length: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let (magic, rest) = head.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    rest[0] = kind.number();
    rest[1..33].copy_from_slice(key.as_bytes());
    rest[33..].copy_from_slice(&length.to_le_bytes());
    head
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn key(n: u8) -> CacheKey {
        CacheKey::new(&[n; 32], &Value::Null, "", None)
    }

    fn copied(seal: &Seal, frame: &[u8], key: &CacheKey) -> (Look, Vec<u8>) {
        let mut value = Vec::new();
        let look = seal.copy(Kind::Output, key, frame.len() as u64, &mut &frame[..], &mut value).unwrap();
        (look, value)
    }

    #[test]
    fn a_frame_gives_its_value_to_who_asks_for_it_and_to_nobody_else() {
        let seal = Seal::new(Some("secret"));
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let value: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let frame = seal.frame(Kind::Output, &key(1), &value);
            let mut streamed = Vec::new();
            seal.write(Kind::Output, &key(1), length as u64, &mut &value[..], &mut streamed).unwrap();
            assert!(frame == streamed && frame.len() == length + OVERHEAD);
            assert_eq!(seal.open(Kind::Output, &key(1), &frame), Some(&value[..]));
            let (look, got) = copied(&seal, &frame, &key(1));
            assert!(look == Look::Hit && got == value);
            assert_eq!(seal.open(Kind::Report, &key(1), &frame), None);
            assert_eq!(seal.open(Kind::Output, &key(2), &frame), None, "moved to another place");
            assert_eq!(Seal::new(Some("other")).open(Kind::Output, &key(1), &frame), None);
            assert_eq!(Seal::new(None).open(Kind::Output, &key(1), &frame), None);
            assert_eq!(copied(&Seal::new(None), &frame, &key(1)).0, Look::Bad);
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let seal = Seal::new(None);
        let frame = seal.frame(Kind::Output, &key(1), b"some bytes of sound");
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(Kind::Output, &key(1), &bad), None, "bit {bit}");
            assert_eq!(copied(&seal, &bad, &key(1)).0, Look::Bad, "bit {bit}");
        }
        for cut in 0..frame.len() {
            assert_eq!(seal.open(Kind::Output, &key(1), &frame[..cut]), None);
            assert_eq!(copied(&seal, &frame[..cut], &key(1)).0, Look::Bad);
        }
        let longer = [&frame[..], b"x"].concat();
        assert_eq!((seal.open(Kind::Output, &key(1), &longer), copied(&seal, &longer, &key(1)).0), (None, Look::Bad));
    }

    #[test]
    fn a_source_that_is_shorter_than_it_said_is_an_error() {
        let seal = Seal::new(None);
        assert!(seal.write(Kind::Output, &key(1), 10, &mut &b"short"[..], &mut Vec::new()).is_err());
    }
}
