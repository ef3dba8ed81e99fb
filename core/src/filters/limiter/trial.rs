//! Two gains tried at once, for the search of the gain that gives a limited signal its loudness.

use super::detector::Detector;
use super::shape::{GainShape, attenuations};
use super::{LimiterParams, STRIP};
use crate::audio::{Buffer, Spec};
use crate::filters::delay::Delay;

/// What the first stage of the limiter makes of a signal at two gains. The peaks are looked for once: they grow with the
/// gain as the signal does. The second stage, which takes what the first leaves above the ceiling, is left out: some
/// hundredths of a dB of single peaks do not change a loudness.
pub(crate) struct LimiterTrial {
    factors: [f32; 2],
    ceiling: f32,
    detector: Detector,
    shapes: [GainShape; 2],
    delays: Vec<Delay>,
    latency_frames: usize,
}

impl LimiterTrial {
    /// Tries `gains_db` before a limiter of `params` on signals of `spec`. Allocates.
    pub fn new(params: &LimiterParams, gains_db: [f64; 2], spec: Spec) -> Self {
        let rate_hz = f64::from(spec.rate_hz);
        let smooth = params.smooth_frames(rate_hz);
        let mut detector = Detector::new(false);
        detector.prepare(spec.channels());
        let latency_frames = detector.latency_frames() + GainShape::latency_frames(smooth);
        Self {
            factors: gains_db.map(|db| 10f64.powf(db / 20.0) as f32),
            ceiling: params.ceiling(),
            detector,
            shapes: [0, 1].map(|_| GainShape::new(smooth, params.release_ms, rate_hz)),
            delays: vec![Delay::new(latency_frames); spec.channels()],
            latency_frames,
        }
    }

    /// Frames by which the results are late.
    pub fn latency_frames(&self) -> usize {
        self.latency_frames
    }

    /// Makes `block` the result of the first gain and `other`, which takes its form, that of the second.
    pub fn process(&mut self, block: &mut Buffer, other: &mut Buffer) {
        let largest = self.factors[0].max(self.factors[1]);
        let mut gains = [[1.0f32; STRIP]; 2];
        other.reserve(block.spec(), block.frames());
        other.set_frames(block.frames());
        let mut at = 0;
        while at < block.frames() {
            let count = STRIP.min(block.frames() - at);
            let mut peaks = [0.0f32; STRIP];
            let near = self.ceiling / largest;
            let found = self.detector.strip(block, at, count, near, &mut peaks);
            for ((shape, factor), gains) in self.shapes.iter_mut().zip(self.factors).zip(&mut gains) {
                let gains = &mut gains[..count];
                gains.fill(factor);
                let mut needed = [0u32; STRIP];
                let needed = &mut needed[..count];
                let mut raised = peaks;
                raised.iter_mut().for_each(|peak| *peak *= factor);
                let any = found && attenuations(&raised[..count], self.ceiling, needed);
                if any || !shape.is_idle() {
                    shape.run(any.then_some(&*needed), gains);
                    gains.iter_mut().for_each(|g| *g *= factor);
                }
            }
            for ((samples, second), delay) in block.channels_mut().zip(other.channels_mut()).zip(&mut self.delays) {
                let samples = &mut samples[at..at + count];
                delay.process(samples);
                for ((x, y), (a, b)) in samples.iter_mut().zip(&mut second[at..]).zip(gains[0].iter().zip(&gains[1])) {
                    (*x, *y) = (*x * a, *x * b);
                }
            }
            at += count;
        }
    }
}
