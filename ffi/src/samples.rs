//! Samples of the host: planar (one array for each channel) or interleaved, 32-bit floats.
//!
//! They are copied in blocks into buffers of the library and back, one array at a time. So arrays may overlap without harm to
//! memory, and the copies stay in the processor's cache.

use pure_sound::audio::{Buffer, ChannelLayout, Spec};
use pure_sound::{Error, Result};

use crate::text::{invalid, null};

/// Checks a number of frames before anything is read.
fn check_length(frames: usize, channels: usize) -> Result<()> {
    // No array in memory is longer than `isize::MAX` bytes.
    let most = isize::MAX as usize / size_of::<f32>() / channels.max(1);
    if frames > most {
        return Err(Error::OutOfRange {
            name: "frames".into(),
            value: frames as f64,
            min: 0.0,
            max: most as f64,
            unit: "frames",
        });
    }
    Ok(())
}

fn check_channels(given: usize, wanted: usize) -> Result<()> {
    if given != wanted {
        let wanted = wanted as f64;
        return Err(Error::OutOfRange {
            name: "channel_count".into(),
            value: given as f64,
            min: wanted,
            max: wanted,
            unit: "channels",
        });
    }
    Ok(())
}

/// Most channels of live objects and of audio in memory.
const MAX_CHANNELS: usize = 1024;

/// Most arrays that are compared with each other.
const MAX_COMPARED: usize = 16;

/// Refuses counts of channels that cannot be meant, before memory is asked for.
///
/// # Errors
/// [`Error::OutOfRange`].
pub fn check_channel_count(channels: usize) -> Result<()> {
    Error::check_range("channels", channels as f64, 1.0, MAX_CHANNELS as f64, "")
}

/// The layout called `name`.
///
/// # Errors
/// [`Error::InvalidValue`]; [`Error::OutOfRange`] for too many channels.
pub fn layout(name: &str) -> Result<ChannelLayout> {
    let layout = ChannelLayout::parse(name).ok_or_else(|| {
        let allowed = "mono, stereo, 2.1, 3.0, quad, 4.0, 5.0, 5.1, 5.1(side), 6.1, 7.1, or a count of channels";
        invalid("layout", name, allowed)
    })?;
    check_channel_count(layout.channels())?;
    Ok(layout)
}

/// Samples that are read.
pub enum Input {
    /// Array of arrays.
    Planar(*const *const f32),
    /// Frame after frame.
    Interleaved(*const f32),
}

/// Samples that are written.
pub enum Output {
    /// Array of arrays.
    Planar(*const *mut f32),
    /// Frame after frame.
    Interleaved(*mut f32),
}

impl Input {
    /// Samples of `channel_count` arrays for an object of `spec`, checked.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`].
    ///
    /// # Safety
    /// `channels` is NULL or has `channel_count` pointers, each NULL or readable for `frames` samples.
    pub unsafe fn planar(channels: *const *const f32, channel_count: usize, spec: Spec, frames: usize) -> Result<Self> {
        check_channels(channel_count, spec.channels())?;
        check_length(frames, 1)?;
        if frames > 0 {
            // SAFETY: the caller's promise.
            unsafe { check_pointers(channels, channel_count)? };
        }
        Ok(Self::Planar(channels))
    }

    /// Interleaved samples for an object of `spec`, checked.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`].
    pub fn interleaved(samples: *const f32, spec: Spec, frames: usize) -> Result<Self> {
        check_length(frames, spec.channels())?;
        if frames > 0 && samples.is_null() {
            return Err(null("samples"));
        }
        Ok(Self::Interleaved(samples))
    }

    /// Fills `block` with `count` frames from `start`. Does not allocate; the capacity must suffice.
    ///
    /// # Safety
    /// The samples are readable there, as was promised when this was made.
    pub unsafe fn copy_to(&self, block: &mut Buffer, start: usize, count: usize) {
        block.set_frames(count);
        if count == 0 {
            return; // the pointers may be NULL
        }
        match *self {
            Self::Planar(channels) => {
                for (index, to) in block.channels_mut().enumerate() {
                    // SAFETY: one array of the caller, readable for these frames; nothing else refers to it now.
                    to.copy_from_slice(unsafe { std::slice::from_raw_parts((*channels.add(index)).add(start), count) });
                }
            }
            Self::Interleaved(samples) => {
                let channels = block.channel_count();
                // SAFETY: as above.
                let from = unsafe { std::slice::from_raw_parts(samples.add(start * channels), count * channels) };
                deinterleave(from, block);
            }
        }
    }
}

impl Output {
    /// Room of `channel_count` arrays for an object with so many `channels`, checked.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`].
    ///
    /// # Safety
    /// `arrays` is NULL or has `channel_count` pointers, each NULL or writable for `frames` samples.
    pub unsafe fn planar(
        arrays: *const *mut f32,
        channel_count: usize,
        channels: usize,
        frames: usize,
    ) -> Result<Self> {
        check_channels(channel_count, channels)?;
        check_length(frames, 1)?;
        if frames > 0 {
            // SAFETY: the caller's promise.
            unsafe { check_pointers(arrays.cast(), channel_count)? };
        }
        Ok(Self::Planar(arrays))
    }

    /// Room for interleaved samples, checked.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`].
    pub fn interleaved(samples: *mut f32, channels: usize, frames: usize) -> Result<Self> {
        check_length(frames, channels)?;
        if frames > 0 && samples.is_null() {
            return Err(null("samples"));
        }
        Ok(Self::Interleaved(samples))
    }

    /// The same samples, to be read: for what works in place.
    pub fn as_input(&self) -> Input {
        match *self {
            Self::Planar(channels) => Input::Planar(channels.cast()),
            Self::Interleaved(samples) => Input::Interleaved(samples),
        }
    }

    /// All of the `frames` frames where they lie, one array after the other. `None` when arrays share memory, or are too many for it
    /// to be told quickly.
    ///
    /// # Safety
    /// There is room, as was promised when this was made for so many `channels`, and nothing else refers to it meanwhile.
    pub unsafe fn arrays(&self, channels: usize, frames: usize) -> Option<impl Iterator<Item = &mut [f32]>> {
        let (arrays, length) = match self {
            _ if frames == 0 => (&[][..], 0), // the pointers may be NULL
            Self::Planar(arrays) if channels <= MAX_COMPARED => {
                // SAFETY: the caller's promise.
                (unsafe { std::slice::from_raw_parts(*arrays, channels) }, frames)
            }
            Self::Planar(_) => return None,
            Self::Interleaved(samples) => (std::slice::from_ref(samples), frames * channels),
        };
        let apart = |a: &*mut f32, b: &*mut f32| a.addr().abs_diff(b.addr()) >= length * size_of::<f32>();
        if !arrays.iter().enumerate().all(|(n, a)| arrays[..n].iter().all(|b| apart(a, b))) {
            return None;
        }
        // SAFETY: arrays of the caller, writable for these samples and apart from each other.
        Some(arrays.iter().map(move |array| unsafe { std::slice::from_raw_parts_mut(*array, length) }))
    }

    /// Writes `count` frames of `block` from `first` to the frames from `start`. Does not allocate.
    ///
    /// # Safety
    /// There is room, as was promised when this was made.
    pub unsafe fn copy_from(&self, block: &Buffer, first: usize, start: usize, count: usize) {
        if count == 0 {
            return; // the pointers may be NULL
        }
        match *self {
            Self::Planar(channels) => {
                for (index, from) in block.channels().enumerate() {
                    // SAFETY: one array of the caller, writable for these frames; nothing else refers to it now.
                    let to = unsafe { std::slice::from_raw_parts_mut((*channels.add(index)).add(start), count) };
                    to.copy_from_slice(&from[first..first + count]);
                }
            }
            Self::Interleaved(samples) => {
                let channels = block.channel_count();
                // SAFETY: as above.
                let to = unsafe { std::slice::from_raw_parts_mut(samples.add(start * channels), count * channels) };
                interleave(block, first, to);
            }
        }
    }
}

/// # Safety
/// `channels` is NULL or has `count` pointers.
unsafe fn check_pointers(channels: *const *const f32, count: usize) -> Result<()> {
    if channels.is_null() {
        return Err(null("channels"));
    }
    for index in 0..count {
        // SAFETY: the caller's promise.
        if unsafe { *channels.add(index) }.is_null() {
            return Err(null(&format!("channels[{index}]")));
        }
    }
    Ok(())
}

/// Frames of `from`, interleaved, into the channels of `block`.
fn deinterleave(from: &[f32], block: &mut Buffer) {
    // Stereo has a loop of its own, which the compiler turns into shuffles.
    if block.channel_count() == 2
        && let Some((left, right)) = block.stereo_mut()
    {
        for ((frame, l), r) in from.chunks_exact(2).zip(left).zip(right) {
            (*l, *r) = (frame[0], frame[1]);
        }
        return;
    }
    let channels = block.channel_count();
    for (index, to) in block.channels_mut().enumerate() {
        for (frame, sample) in from.chunks_exact(channels).zip(to) {
            *sample = frame[index];
        }
    }
}

fn interleave(block: &Buffer, first: usize, to: &mut [f32]) {
    let channels = block.channel_count();
    if channels == 2 {
        let (left, right) = (&block.channel(0)[first..], &block.channel(1)[first..]);
        for ((frame, l), r) in to.chunks_exact_mut(2).zip(left).zip(right) {
            (frame[0], frame[1]) = (*l, *r);
        }
        return;
    }
    for (index, from) in block.channels().enumerate() {
        for (frame, sample) in to.chunks_exact_mut(channels).zip(&from[first..]) {
            frame[index] = *sample;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(channels: usize) -> Spec {
        Spec::new(48_000, ChannelLayout::from_count(channels))
    }

    #[test]
    fn both_layouts_give_and_take_the_same_samples() {
        for channels in [1, 2, 3] {
            let mut flat: Vec<f32> = (0..5 * channels).map(|n| n as f32).collect();
            let mut block = Buffer::new(spec(channels), 3);
            let input = Input::interleaved(flat.as_ptr(), spec(channels), 5).unwrap();
            // SAFETY: frames 1 to 4 of 5.
            unsafe { input.copy_to(&mut block, 1, 3) };
            let planes: Vec<Vec<f32>> = block.channels().map(<[f32]>::to_vec).collect();
            assert_eq!(planes[channels - 1][0], (2 * channels - 1) as f32);
            let pointers: Vec<*const f32> = planes.iter().map(|p| p.as_ptr()).collect();
            let mut again = Buffer::new(spec(channels), 3);
            // SAFETY: as many pointers as channels, of 3 samples each.
            unsafe {
                Input::planar(pointers.as_ptr(), channels, spec(channels), 3).unwrap().copy_to(&mut again, 0, 3);
            }
            assert!(block.channels().eq(again.channels()));
            let mut expected = flat.clone();
            expected.copy_within(channels..3 * channels, 3 * channels);
            let output = Output::interleaved(flat.as_mut_ptr(), channels, 5).unwrap();
            // SAFETY: frames 3 and 4 of 5.
            unsafe { output.copy_from(&block, 0, 3, 2) };
            assert_eq!(flat, expected);
        }
    }

    #[test]
    fn arrays_are_given_where_they_lie_unless_they_share_memory() {
        let mut samples = [0.0_f32; 8];
        let start = samples.as_mut_ptr();
        let apart = [start, start.wrapping_add(4)];
        let shared = [start, start.wrapping_add(3)];
        let raise = |array: &mut [f32]| array.iter_mut().for_each(|x| *x += 1.0);
        // SAFETY: 4 samples from the start, from 4 or from 3, of 8.
        unsafe {
            Output::planar(apart.as_ptr(), 2, 2, 4).unwrap().arrays(2, 4).unwrap().for_each(raise);
            Output::interleaved(start, 2, 4).unwrap().arrays(2, 4).unwrap().for_each(raise);
            assert!(Output::planar(shared.as_ptr(), 2, 2, 4).unwrap().arrays(2, 4).is_none());
            assert_eq!(Output::planar(std::ptr::null(), 2, 2, 0).unwrap().arrays(2, 0).unwrap().count(), 0);
        }
        assert_eq!(samples, [2.0; 8]);
    }

    #[test]
    fn lengths_pointers_and_counts_are_checked() {
        let null_inside = [std::ptr::null::<f32>()];
        // SAFETY: nothing is read but the list of pointers.
        unsafe {
            assert!(Input::planar(std::ptr::null(), 1, spec(1), 1).is_err());
            assert!(Input::planar(null_inside.as_ptr(), 1, spec(1), 1).is_err());
            assert!(Input::planar(null_inside.as_ptr(), 1, spec(2), 1).is_err());
            assert!(Input::planar(std::ptr::null(), 1, spec(1), 0).is_ok());
        }
        assert!(Input::interleaved(std::ptr::null(), spec(1), 1).is_err());
        assert!(Output::interleaved(std::ptr::dangling_mut(), 2, isize::MAX as usize).is_err());
    }
}
