//! The proof: what was written is decoded again and measured, after it was encoded or while it is.

use std::io::{BufReader, ErrorKind, Read, Seek};
use std::time::Instant;

use super::analyse::measure_all;
use super::control::Stage;
use super::follow::follow;
use super::lane::{Feed, Lane};
use super::recipe::Verify;
use crate::error::{Error, Result};
use crate::filters::FilterSpec;
use crate::formats::{Decoder, Encoded, ReadOptions, Source};
use crate::meter::Loudness;

/// What a decoder made of the finished file.
pub(super) struct Verified {
    /// None in the copy route where nothing was measured.
    pub loudness: Option<Loudness>,
    /// Hash of the file.
    pub blake3: String,
}

impl Lane<'_> {
    /// Runs `feed` through `filters` into the encoder, then decodes and measures what was written, when that is wanted.
    ///
    /// Where the format allows it and there are threads for it, it is decoded while it is written: see `follow`. Both ways
    /// read the same bytes with the same decoder and measure the same.
    pub(super) fn encode_and_verify(
        &mut self,
        filters: &[FilterSpec],
        feed: Feed<'_>,
    ) -> Result<(Encoded, Option<Verified>)> {
        if self.context.recipe.verify == Verify::None {
            return Ok((self.encode(Box::new(self.pending.handle()?), filters, feed)?, None));
        }
        let growing = self.context.codecs.growing(&self.output.negotiated.settings);
        let Some(open) = growing.filter(|_| self.context.pool.current_num_threads() > 1) else {
            let encoded = self.encode(Box::new(self.pending.handle()?), filters, feed)?;
            let verified = self.verify(&encoded)?;
            return Ok((encoded, Some(verified)));
        };
        let (sink, follower, seen) = follow(Box::new(self.pending.handle()?));
        let tracker = self.context.tracker;
        let (encoded, followed, waited_s) = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut decoder = open(Box::new(follower), &ReadOptions::default())?;
                let (loudness, _) = measure_all(&mut *decoder, Stage::Verify, tracker)?;
                Ok::<_, Error>((loudness, decoder))
            });
            // The sink is gone after this, whatever happens: the reader comes to its end.
            let encoded = self.encode(Box::new(sink), filters, feed);
            let start = Instant::now();
            let followed = reader.join().unwrap_or_else(|_| Err(Error::internal("a verifying thread panicked")));
            (encoded, followed, start.elapsed().as_secs_f64())
        });
        let encoded = encoded?;
        self.times.2 += waited_s;
        let blake3 = self.hash()?;
        if let Ok((loudness, decoder)) = followed
            && seen.hash() == blake3
        {
            self.check_sound(&*decoder, &encoded, &loudness)?;
            return Ok((encoded, Some(Verified { loudness: Some(loudness), blake3 })));
        }
        // Something else is in the file than what was followed: the file is what counts.
        let verified = self.verify(&encoded)?;
        Ok((encoded, Some(verified)))
    }

    /// Opens what was written.
    pub fn reopen(&self) -> Result<Box<dyn Decoder>> {
        let mut file = self.pending.handle()?;
        file.rewind().map_err(|e| Error::io("read", Some(&self.path), e))?;
        let reader = BufReader::with_capacity(1 << 16, file);
        self.context.codecs.open(Source::Seekable(Box::new(reader)), &ReadOptions::default())
    }

    /// Decodes and measures the finished file.
    fn verify(&mut self, encoded: &Encoded) -> Result<Verified> {
        let start = Instant::now();
        let mut decoder = self.reopen()?;
        let (loudness, _) = measure_all(&mut *decoder, Stage::Verify, self.context.tracker)?;
        self.check_sound(&*decoder, encoded, &loudness)?;
        let blake3 = self.hash()?;
        self.times.2 += start.elapsed().as_secs_f64();
        Ok(Verified { loudness: Some(loudness), blake3 })
    }

    /// Fails when `decoder` found less in the file than was encoded: what was written and what is there differ.
    fn check_sound(&self, decoder: &dyn Decoder, encoded: &Encoded, loudness: &Loudness) -> Result<()> {
        let damage = decoder.damage();
        let what = if !damage.is_none() {
            damage.events.first().map_or_else(|| "it is damaged".to_owned(), |event| event.what.clone())
        } else if loudness.frames < encoded.frames {
            format!("{} of {} frames can be decoded", loudness.frames, encoded.frames)
        } else {
            return Ok(());
        };
        Err(Error::io("read back", Some(&self.path), std::io::Error::new(ErrorKind::InvalidData, what)))
    }

    /// BLAKE3 of the file in hexadecimal digits.
    pub(super) fn hash(&self) -> Result<String> {
        let io = |e| Error::io("read", Some(&self.path), e);
        let mut file = self.pending.handle()?;
        file.rewind().map_err(io)?;
        let mut hasher = blake3::Hasher::new();
        let mut bytes = vec![0; 1 << 16];
        loop {
            let n = file.read(&mut bytes).map_err(io)?;
            if n == 0 {
                return Ok(hasher.finalize().to_hex().to_string());
            }
            hasher.update(&bytes[..n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{SeekFrom, Write};
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::audio::{Buffer, Spec};
    use crate::formats::encode::testing::{float_signal, spec};
    use crate::formats::tags::Metadata;
    use crate::formats::{BuiltInCodecs, Codec, Container, SampleFormat, StreamInfo};
    use crate::processing::control::Control;
    use crate::processing::job::Job;
    use crate::processing::lane::LaneContext;
    use crate::processing::progress::Tracker;
    use crate::processing::recipe::{Output, Recipe};
    use crate::services::seams::SystemFiles;

    fn input(spec: Spec) -> StreamInfo {
        StreamInfo {
            container: Container::Wav,
            codec: Codec::PcmFloat,
            spec,
            sample_format: SampleFormat::Float(32),
            duration: None,
            bit_rate_kbps: None,
            delay_frames: 0,
            padding_frames: 0,
        }
    }

    /// Runs `work` on a lane to `path` in an engine of `threads`.
    fn with_lane<T>(path: &Path, spec: Spec, threads: usize, work: impl FnOnce(&mut Lane<'_>) -> T) -> T {
        let recipe = Recipe { outputs: vec![Output::new(path)], ..Recipe::default() };
        let job = Job::decide(&recipe, &input(spec)).unwrap();
        let (control, metadata) = (Control::default(), Metadata::default());
        let tracker = Tracker::new(&control, spec.rate_hz, None);
        let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
        let context = LaneContext {
            recipe: &recipe,
            job: &job,
            metadata: &metadata,
            losses: &[],
            tracker: &tracker,
            pool: &pool,
            files: &SystemFiles,
            codecs: &BuiltInCodecs::default(),
            frames_hint: None,
        };
        work(&mut Lane::new(&context, 0).unwrap())
    }

    fn encode(lane: &mut Lane<'_>, signal: &Buffer) -> Result<(Encoded, Verified)> {
        let (encoded, verified) = lane.encode_and_verify(&[], &mut |each| each(signal))?;
        Ok((encoded, verified.unwrap()))
    }

    #[test]
    fn followed_or_read_back_the_proof_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        // Several writes, of which the last page and its end are the tricky ones.
        let signal = float_signal(spec(48_000, 2), 48_000 * 30 + 7);
        let path = dir.path().join("a.opus");
        let [one, two] = [1, 2].map(|threads| {
            with_lane(&path, signal.spec(), threads, |lane| {
                let (encoded, verified) = encode(lane, &signal).unwrap();
                let again = lane.verify(&encoded).unwrap();
                assert_eq!(verified.loudness, again.loudness);
                assert_eq!(verified.blake3, again.blake3);
                (encoded, verified.loudness.unwrap(), verified.blake3)
            })
        });
        assert_eq!(one, two);
        assert_eq!(one.1.frames, signal.frames() as u64);
    }

    #[test]
    fn a_byte_that_changed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let signal = float_signal(spec(48_000, 1), 48_000 * 3);
        for extension in ["opus", "flac"] {
            with_lane(&dir.path().join("a").with_extension(extension), signal.spec(), 2, |lane| {
                let (encoded, verified) = encode(lane, &signal).unwrap();
                assert_eq!(lane.hash().unwrap(), verified.blake3);
                let mut file = lane.pending.handle().unwrap();
                let mut byte = [0];
                file.seek(SeekFrom::Start(encoded.bytes / 2)).unwrap();
                file.read_exact(&mut byte).unwrap();
                file.seek(SeekFrom::Current(-1)).unwrap();
                file.write_all(&[byte[0] ^ 0x10]).unwrap();
                assert_ne!(lane.hash().unwrap(), verified.blake3);
                let found = lane.verify(&encoded).map(|v| v.blake3);
                assert!(matches!(&found, Err(Error::Io { op: "read back", .. })), "{extension}: {found:?}");
                file.set_len(encoded.bytes / 2).unwrap();
                assert!(lane.verify(&encoded).is_err(), "{extension}: cut off");
            });
        }
    }
}
