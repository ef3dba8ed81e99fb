//! The one pass: resampled, levelled, heard by the network, judged second by second.

use super::head::{Head, Row, SecondMeter};
use super::log_mel::{BANDS, LogMel, RATE_HZ, ROWS_PER_S};
use super::network::{EVENTS, HIDDEN, MEMORY, Network};
use super::segments::{Second, content};
#[cfg(feature = "ml")]
use super::speech_quality::SpeechQualityMeter;
use super::voice::VoiceMeter;
use super::{Content, ContentParams};
use crate::analysis::{check_spec, mix_to_mono};
use crate::audio::{Buffer, ChannelLayout, Spec};
use crate::dsp::resampler::{Quality, Resampler};
use crate::error::{Error, Result};

/// Samples that are converted at a time.
const PIECE: usize = 4096;
/// Rows whose level is brought to the same height together: 10 s.
const LEVELLED: usize = 10 * ROWS_PER_S;
/// Level that the loud rows are brought to, in dBFS RMS, and by how much at most: what is quieter is a matter for the silence gate.
const LEVEL_DBFS: f64 = -23.0;
const MOST_GAIN_DB: f64 = 60.0;
/// Rows this far below the loudest do not count for it, in dB.
const LOUD_RANGE_DB: f64 = 30.0;

/// Tells what a stream of blocks is: speech, music, noise, silence. Any split into blocks gives the same result.
///
/// Takes the mean of the channels; 3 MB, 10 MB more for speech quality, and about 60 bytes per second of the stream.
pub struct ContentClassifier {
    spec: Spec,
    params: ContentParams,
    resampler: Option<Resampler>,
    /// What waits for a whole piece, so that the resampler sees the same pieces for any split.
    input: Buffer,
    filled: usize,
    converted: Buffer,
    mono: Vec<f32>,
    mel: LogMel,
    /// Log powers and mean squares of rows that wait to be levelled.
    rows: Vec<f32>,
    squares: Vec<f32>,
    /// Mean squares of the rows that were levelled last.
    before: Vec<f32>,
    network: Network,
    head: Head,
    /// Log powers and mean squares of rows that the network has not given back yet.
    within: (Vec<f32>, Vec<f32>),
    second: SecondMeter,
    seconds: Vec<Second>,
    voice: VoiceMeter,
    #[cfg(feature = "ml")]
    speech_quality: Option<SpeechQualityMeter>,
    frames: u64,
}

impl ContentClassifier {
    /// For streams of `spec`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the parameters, or a rate outside 1 kHz to 768 kHz; [`Error::Unsupported`] for speech quality without the
    /// feature `ml`.
    pub fn new(spec: Spec, params: &ContentParams) -> Result<Self> {
        params.validate()?;
        Error::check_range("rate_hz", f64::from(spec.rate_hz), 1_000.0, 768_000.0, "Hz")?;
        let resampler =
            (spec.rate_hz != RATE_HZ).then(|| Resampler::new(spec.rate_hz, RATE_HZ, 1, Quality::Good)).transpose()?;
        Ok(Self {
            spec,
            params: *params,
            resampler,
            input: Buffer::new(Spec::new(spec.rate_hz, ChannelLayout::MONO), PIECE),
            filled: 0,
            converted: Buffer::new(Spec::new(RATE_HZ, ChannelLayout::MONO), PIECE),
            mono: Vec::new(),
            mel: LogMel::new(),
            rows: Vec::new(),
            squares: Vec::new(),
            before: Vec::new(),
            network: Network::new()?,
            head: Head::new()?,
            within: (Vec::new(), Vec::new()),
            second: SecondMeter::new(),
            seconds: Vec::new(),
            voice: VoiceMeter::new(),
            #[cfg(feature = "ml")]
            speech_quality: params.speech_quality.then(SpeechQualityMeter::new),
            frames: 0,
        })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] when its spec is another.
    pub fn push(&mut self, block: &Buffer) -> Result<()> {
        check_spec(self.spec, block.spec())?;
        self.frames += block.frames() as u64;
        let mut mono = std::mem::take(&mut self.mono);
        mix_to_mono(block, &mut mono);
        let mut rest = mono.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((PIECE - self.filled).min(rest.len()));
            self.input.set_frames(self.filled + now.len());
            self.input.channel_mut(0)[self.filled..].copy_from_slice(now);
            self.filled += now.len();
            rest = later;
            if self.filled == PIECE {
                self.convert()?;
            }
        }
        self.mono = mono;
        Ok(())
    }

    /// What all that was pushed is.
    ///
    /// # Errors
    /// [`Error::Internal`] when the weights of the library are broken.
    pub fn finish(self) -> Result<Content> {
        self.finish_while(&|| Ok(()))
    }

    /// The same for those who may want to stop meanwhile: speech quality takes some seconds in the end.
    ///
    /// # Errors
    /// What `go_on` says.
    pub(crate) fn finish_while(mut self, go_on: &dyn Fn() -> Result<()>) -> Result<Content> {
        go_on()?;
        self.convert()?;
        if let Some(mut resampler) = self.resampler.take() {
            resampler.finish(&mut self.converted);
            self.take_in()?;
        }
        if self.frames > 0 {
            self.mel.finish(&mut self.rows, &mut self.squares)?;
        }
        while self.squares.len() > LEVELLED {
            self.listen(LEVELLED, false);
        }
        self.listen(self.squares.len(), true);
        if let Some(second) = self.second.finish(&self.head, &self.seconds) {
            self.seconds.push(second);
        }
        let duration_s = self.spec.seconds(self.frames);
        let content = content(&self.params, &self.seconds, self.voice.finish(duration_s), duration_s);
        #[cfg(feature = "ml")]
        if let Some(meter) = self.speech_quality {
            let speech_quality = meter.finish(&content.voice, go_on)?;
            return Ok(Content { speech_quality, ..content });
        }
        Ok(content)
    }

    fn convert(&mut self) -> Result<()> {
        self.input.set_frames(self.filled);
        self.filled = 0;
        match &mut self.resampler {
            Some(resampler) => resampler.process(&self.input, &mut self.converted),
            None => std::mem::swap(&mut self.input, &mut self.converted),
        }
        self.take_in()?;
        while self.squares.len() > LEVELLED {
            self.listen(LEVELLED, false);
        }
        Ok(())
    }

    /// Hands on what is at 16 kHz.
    fn take_in(&mut self) -> Result<()> {
        let samples = self.converted.channel(0);
        #[cfg(feature = "ml")]
        if let Some(meter) = &mut self.speech_quality {
            meter.push(samples);
        }
        self.mel.push(samples, &mut self.rows, &mut self.squares)
    }

    /// Levels `count` rows and gives them to the network.
    fn listen(&mut self, count: usize, last: bool) {
        let loudest = self.squares[..count].iter().chain(&self.before).copied().fold(0.0, f32::max);
        let threshold = loudest * 10f32.powf((-LOUD_RANGE_DB / 10.0) as f32);
        let loud = self.squares[..count].iter().chain(&self.before).filter(|square| **square > threshold);
        let (sum, loud) = loud.fold((0.0, 0u32), |(sum, n), square| (sum + f64::from(*square), n + 1));
        let level_dbfs = 10.0 * (sum / f64::from(loud.max(1)) + 1e-12).log10();
        let gain_db = (LEVEL_DBFS - level_dbfs).min(MOST_GAIN_DB);
        // A gain of the samples is a sum to the logarithms of their powers.
        let step = (gain_db / 10.0 * std::f64::consts::LN_10) as f32;
        self.rows[..count * BANDS].iter_mut().for_each(|x| *x += step);
        self.before.clear();
        self.before.extend(self.squares.drain(..count));
        let heard = self.network.push(&self.rows[..count * BANDS], last);
        let (bands, mean_squares) = &mut self.within;
        bands.extend(self.rows.drain(..count * BANDS));
        mean_squares.extend_from_slice(&self.before);
        let given = heard.events.len() / EVENTS;
        let layers = heard.hidden.chunks_exact(HIDDEN).zip(heard.memory.chunks_exact(MEMORY));
        let input = bands.chunks_exact(BANDS).zip(mean_squares.iter());
        for (((hidden, memory), events), (bands, mean_square)) in
            layers.zip(heard.events.chunks_exact(EVENTS)).zip(input)
        {
            let row = Row { hidden, memory, bands, events, mean_square: *mean_square };
            self.voice.push(events[0], row.mean_square);
            if let Some(second) = self.second.push(&row, &self.head) {
                self.seconds.push(second);
            }
        }
        bands.drain(..given * BANDS);
        mean_squares.drain(..given);
    }
}
