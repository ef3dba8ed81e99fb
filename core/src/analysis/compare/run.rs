//! Compares two inputs from beginning to end: aligns them by their beginnings, then reads both once.

use super::align::{Offset, find_offset};
use super::comparer::Comparer;
use super::feed::{Feed, Tick};
use super::{Alignment, COMPARISON_VERSION, CompareParams, ComparedInput, Comparison};
use crate::audio::{Buffer, Spec};
use crate::error::{Error, Result};
use crate::formats::Decoder;

/// How much of both is looked at for the offset, beside the largest offset, in seconds.
pub(crate) const ALIGN_S: f64 = 20.0;
/// Frames of 48 kHz that both are read on by.
const STEP_FRAMES: usize = 16_384;

/// Compares all of two inputs. `tick` is called with the frames of each block of the reference, `other_tick` of the degraded input.
pub(crate) fn compare_all(
    reference: &mut dyn Decoder,
    degraded: &mut dyn Decoder,
    params: &CompareParams,
    tick: &Tick<'_>,
    other_tick: &Tick<'_>,
) -> Result<Comparison> {
    params.validate()?;
    let (reference_spec, degraded_spec) = (reference.info().spec, degraded.info().spec);
    let (channels, others) = (reference_spec.channels(), degraded_spec.channels());
    if channels != others && !params.mix_to_mono {
        return Err(Error::InvalidValue {
            name: "channels".into(),
            value: format!("{channels} and {others}"),
            allowed: "as many channels in both, or mix_to_mono".into(),
        });
    }
    let mut reference = Feed::new(reference, params.mix_to_mono, tick)?;
    let mut degraded = Feed::new(degraded, params.mix_to_mono, other_tick)?;
    let mut comparer = Comparer::new(reference.channels())?;
    let alignment = params.align.then(|| align(&mut reference, &mut degraded, params)).transpose()?;
    let matched_db = params.match_level.then(|| match_level(&mut reference, &mut degraded)).transpose()?.flatten();
    loop {
        reference.fill(STEP_FRAMES)?;
        degraded.fill(STEP_FRAMES)?;
        let frames = reference.ready.frames().min(degraded.ready.frames());
        if frames == 0 {
            break;
        }
        comparer.push_frames(&reference.ready, &degraded.ready, frames)?;
        reference.skip(frames);
        degraded.skip(frames);
    }
    reference.drain()?;
    degraded.drain()?;
    let mut differences = comparer.finish()?;
    // As it was before.
    if let (Some(level_db), Some(matched_db)) = (&mut differences.level_difference_db, matched_db) {
        *level_db -= matched_db;
    }
    let input = |spec: Spec, frames: u64| ComparedInput { spec, frames, duration_s: spec.seconds(frames) };
    Ok(Comparison {
        comparison_version: COMPARISON_VERSION,
        params: params.clone(),
        reference: input(reference_spec, reference.frames),
        degraded: input(degraded_spec, degraded.frames),
        alignment,
        matched_db,
        differences,
    })
}

/// Finds out how much later one is, and drops that.
fn align(reference: &mut Feed<'_>, degraded: &mut Feed<'_>, params: &CompareParams) -> Result<Alignment> {
    let rate_hz = Comparer::RATE_HZ;
    let frames = |seconds: f64| (seconds * f64::from(rate_hz)) as usize;
    let max = frames(params.max_offset_s);
    let enough = frames(ALIGN_S) + max;
    reference.fill(enough)?;
    degraded.fill(enough)?;
    // The mean of the channels could cancel.
    let energy = |channel: &[f32]| channel.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let loudest = reference.ready.channels().map(energy).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let loudest = loudest.map_or(0, |(channel, _)| channel);
    let part = |of: &Buffer| -> Vec<f32> {
        let frames = of.frames().min(enough);
        of.channel(loudest)[..frames].iter().map(|x| if x.is_finite() { x.clamp(-1e6, 1e6) } else { 0.0 }).collect()
    };
    let found: Option<Offset> = find_offset(&part(&reference.ready), &part(&degraded.ready), rate_hz, max)?;
    let Some(offset) = found else {
        return Ok(Alignment { found: false, offset_frames: 0, offset_s: 0.0, correlation: 0.0 });
    };
    let by = offset.frames.unsigned_abs() as usize;
    if offset.frames < 0 {
        reference.skip(by)
    } else {
        degraded.skip(by)
    }
    Ok(Alignment {
        found: true,
        offset_frames: offset.frames,
        offset_s: offset.exact_frames / f64::from(rate_hz),
        correlation: offset.correlation,
    })
}

/// Gives the degraded input the level of the reference, by the beginnings of both. None: nothing to go by.
fn match_level(reference: &mut Feed<'_>, degraded: &mut Feed<'_>) -> Result<Option<f64>> {
    let enough = (ALIGN_S * f64::from(Comparer::RATE_HZ)) as usize;
    reference.fill(enough)?;
    degraded.fill(enough)?;
    let (mut rr, mut rd) = (0.0, 0.0);
    for (r, d) in reference.ready.channels().zip(degraded.ready.channels()) {
        for (r, d) in r.iter().zip(d).take(enough).filter(|(r, d)| r.is_finite() && d.is_finite()) {
            rr += f64::from(*r) * f64::from(*r);
            rd += f64::from(*r) * f64::from(*d);
        }
    }
    // The scale of the reference within the degraded signal, whatever was added to it.
    let scale = (rd / rr).abs();
    if !(1e-5..=1e5).contains(&scale) {
        return Ok(None);
    }
    degraded.amplify((1.0 / scale) as f32);
    Ok(Some(-20.0 * scale.log10()))
}
