//! Looking at the quality of an input.

use super::Engine;
use super::admission::Admitted;
use super::observed::Call;
use crate::analysis::quality::{QualityAnalyser, QualityParams, QualityReport};
use crate::audio::Buffer;
use crate::error::Result;
use crate::formats::{MediaInfo, ReadOptions, SampleFormat, Source};
use crate::processing::{Control, Cost};

/// Frames that are decoded at a time.
const BLOCK_FRAMES: usize = 8_192;

impl Engine {
    /// Looks at a whole input for faults. The bits that the verdict on fake bit depth asks for are those of the stream. Waits while the
    /// budgets have no room for it.
    ///
    /// # Errors
    /// Those of [`crate::formats::open`] and of [`crate::resources::ResourcePool::acquire`]; [`crate::Error::Empty`]; [`crate::Error::Cancelled`];
    /// [`crate::Error::Denied`] by the policy.
    pub fn quality(&self, source: Source, options: &ReadOptions, control: &Control) -> Result<QualityReport> {
        self.observed.operation(Call::Quality, || {
            self.check(Call::Quality.name(), &source, &[], Some(control))?;
            let options = self.read_options(options);
            self.retrying(None, source, control, |attempt| {
                let cost = |media: &MediaInfo| Ok(Cost::of_measuring(&media.stream));
                let admitted = self.admit(Call::Quality.name(), attempt, &options, control, &cost)?;
                let Admitted { mut decoder, permit, .. } = admitted;
                let spec = decoder.info().spec;
                let declared_bits = match decoder.info().sample_format {
                    SampleFormat::Int(bits) => Some(u32::from(bits)),
                    SampleFormat::Float(_) | SampleFormat::Lossy => None,
                };
                let mut analyser = QualityAnalyser::new(spec, QualityParams { declared_bits })?;
                let mut block = Buffer::new(spec, BLOCK_FRAMES);
                while decoder.read(&mut block, BLOCK_FRAMES)? > 0 {
                    control.cancel.check()?;
                    analyser.push(&block)?;
                }
                drop(permit);
                analyser.finish()
            })
        })
    }
}
