//! Planar sample storage with a fixed capacity per channel.

use super::Spec;

/// Planar f32 audio, `channels x frames`; +/-1.0 is full scale.
pub type Buffer = Planar<f32>;

/// Planar integer audio, `channels x frames`. Samples are left-justified: a 16-bit sample is shifted left by
/// 16, so that full scale is the same for every bit depth.
pub type IntBuffer = Planar<i32>;

/// `channels x frames` samples, one contiguous run per channel.
///
/// The capacity is fixed by [`Planar::new`] and [`Planar::reserve`]; everything else keeps within it and is
/// real-time safe unless said otherwise.
#[derive(Debug, Clone)]
pub struct Planar<T> {
    spec: Spec,
    frames: usize,
    /// Distance between two channels in `data`, in samples: the capacity of one channel.
    stride: usize,
    data: Vec<T>,
}

impl<T: Copy + Default> Planar<T> {
    /// An empty buffer (0 frames) that can hold `capacity_frames` frames of `spec`. Allocates.
    pub fn new(spec: Spec, capacity_frames: usize) -> Self {
        let data = vec![T::default(); spec.channels() * capacity_frames];
        Self { spec, frames: 0, stride: capacity_frames, data }
    }

    /// Builds a buffer from one vector per channel. Missing samples of shorter channels are silence.
    pub fn from_channels(spec: Spec, channels: &[Vec<T>]) -> Self {
        let frames = channels.iter().map(Vec::len).max().unwrap_or(0);
        let mut buffer = Self::new(spec, frames);
        buffer.frames = frames;
        for (to, from) in buffer.channels_mut().zip(channels) {
            to[..from.len()].copy_from_slice(from);
        }
        buffer
    }

    /// Rate and layout.
    pub fn spec(&self) -> Spec {
        self.spec
    }

    /// Number of channels.
    pub fn channel_count(&self) -> usize {
        self.spec.channels()
    }

    /// Number of valid frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// True when there are no frames.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Number of frames that fit without allocation with the present channel count.
    pub fn capacity_frames(&self) -> usize {
        self.stride
    }

    /// Makes room for `capacity_frames` frames of `spec` and empties the buffer. Allocates when it grows.
    pub fn reserve(&mut self, spec: Spec, capacity_frames: usize) {
        self.spec = spec;
        self.frames = 0;
        self.stride = capacity_frames.max(self.stride);
        let need = self.stride * spec.channels();
        if self.data.len() < need {
            self.data.resize(need, T::default());
        }
    }

    /// Changes rate and layout, keeping the storage. The frames become unspecified and their number 0.
    ///
    /// # Panics
    /// In debug builds, when the channels do not fit the storage: call [`Planar::reserve`] in `prepare`.
    pub fn set_spec(&mut self, spec: Spec) {
        debug_assert!(self.stride * spec.channels() <= self.data.len(), "reserve() before set_spec()");
        self.spec = spec;
        self.frames = 0;
    }

    /// Sets the number of valid frames, at most the capacity. Frames that become valid hold old samples.
    pub fn set_frames(&mut self, frames: usize) {
        debug_assert!(frames <= self.stride, "{frames} frames into a capacity of {}", self.stride);
        self.frames = frames.min(self.stride);
    }

    /// Samples of one channel.
    pub fn channel(&self, index: usize) -> &[T] {
        &self.data[index * self.stride..][..self.frames]
    }

    /// Samples of one channel, writable.
    pub fn channel_mut(&mut self, index: usize) -> &mut [T] {
        &mut self.data[index * self.stride..][..self.frames]
    }

    /// All channels in order.
    pub fn channels(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let frames = self.frames;
        // `max(1)` because chunks refuse 0; a stride of 0 leaves no data, hence no channels.
        self.data.chunks(self.stride.max(1)).take(self.spec.channels()).map(move |c| &c[..frames])
    }

    /// All channels in order, writable.
    pub fn channels_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [T]> {
        let frames = self.frames;
        self.data.chunks_mut(self.stride.max(1)).take(self.spec.channels()).map(move |c| &mut c[..frames])
    }

    /// The first two channels, writable at once. Stereo filters need both.
    pub fn stereo_mut(&mut self) -> Option<(&mut [T], &mut [T])> {
        let frames = self.frames;
        let mut channels = self.data.chunks_mut(self.stride.max(1)).take(self.spec.channels());
        Some((&mut channels.next()?[..frames], &mut channels.next()?[..frames]))
    }

    /// Removes the first `count` frames.
    pub fn drop_front(&mut self, count: usize) {
        let count = count.min(self.frames);
        let frames = self.frames;
        for c in self.channels_mut() {
            c.copy_within(count..frames, 0);
        }
        self.frames -= count;
    }

    /// Replaces the content by `count` frames of `other` from `start`. Takes over its spec; the capacity must
    /// suffice.
    pub fn copy_from(&mut self, other: &Self, start: usize, count: usize) {
        self.set_spec(other.spec);
        self.set_frames(count);
        for (to, from) in self.channels_mut().zip(other.channels()) {
            to.copy_from_slice(&from[start..start + count]);
        }
    }

    /// Appends `count` frames of `other` from `start`. Grows the storage when needed: allocates then.
    pub fn append(&mut self, other: &Self, start: usize, count: usize) {
        self.grow(self.frames + count);
        let old = self.frames;
        self.frames += count;
        for (to, from) in self.channels_mut().zip(other.channels()) {
            to[old..].copy_from_slice(&from[start..start + count]);
        }
    }

    /// Appends `count` frames of silence. Grows the storage when needed: allocates then.
    pub fn append_silence(&mut self, count: usize) {
        self.grow(self.frames + count);
        let old = self.frames;
        self.frames += count;
        for c in self.channels_mut() {
            c[old..].fill(T::default());
        }
    }

    /// Raises the capacity to at least `capacity_frames`, keeping the content. Allocates when it grows.
    pub fn grow(&mut self, capacity_frames: usize) {
        if capacity_frames <= self.stride {
            return;
        }
        let stride = capacity_frames.next_power_of_two();
        let mut data = vec![T::default(); stride * self.spec.channels()];
        for (to, from) in data.chunks_mut(stride).zip(self.channels()) {
            to[..from.len()].copy_from_slice(from);
        }
        self.data = data;
        self.stride = stride;
    }

    /// As [`Planar::grow`]; false, and nothing done, when the memory cannot be had.
    pub fn try_grow(&mut self, capacity_frames: usize) -> bool {
        if capacity_frames <= self.stride {
            return true;
        }
        let samples = capacity_frames.checked_next_power_of_two().and_then(|n| n.checked_mul(self.spec.channels()));
        // Asks for the memory and gives it back: the system tells whether `grow` can have it.
        let there = samples.is_some_and(|samples| Vec::<T>::new().try_reserve_exact(samples).is_ok());
        if there {
            self.grow(capacity_frames);
        }
        there
    }

    /// The samples as one vector, `channels x frames`, channel after channel. Copies nothing when the capacity is that of the
    /// frames, and moves within the storage otherwise.
    pub fn into_planar(mut self) -> Vec<T> {
        let (frames, stride, channels) = (self.frames, self.stride, self.channel_count());
        if frames != stride {
            for channel in 1..channels {
                self.data.copy_within(channel * stride..channel * stride + frames, channel * frames);
            }
        }
        self.data.truncate(frames * channels);
        self.data
    }

    /// A buffer of samples that stand channel after channel, as [`Planar::into_planar`] gives them. What does not fill a frame is
    /// left out.
    pub fn from_planar(spec: Spec, mut data: Vec<T>) -> Self {
        let frames = data.len() / spec.channels().max(1);
        data.truncate(frames * spec.channels());
        Self { spec, frames, stride: frames, data }
    }

    /// Writes the frames interleaved into `out`, which is cleared first. Allocates when `out` is too small.
    pub fn interleave_into(&self, out: &mut Vec<T>) {
        let channels = self.channel_count();
        out.clear();
        out.resize(self.frames * channels, T::default());
        for (index, samples) in self.channels().enumerate() {
            for (frame, sample) in out.chunks_exact_mut(channels).zip(samples) {
                frame[index] = *sample;
            }
        }
    }

    /// Replaces the content by interleaved samples. The capacity must suffice.
    pub fn deinterleave_from(&mut self, interleaved: &[T]) {
        let channels = self.channel_count();
        self.set_frames(interleaved.len() / channels.max(1));
        for (index, samples) in self.channels_mut().enumerate() {
            for (frame, sample) in interleaved.chunks_exact(channels).zip(samples) {
                *sample = frame[index];
            }
        }
    }
}

impl Planar<f32> {
    /// Converts left-justified integers: exact for up to 24 bits, rounded to nearest beyond.
    pub fn copy_from_int(&mut self, ints: &IntBuffer) {
        self.set_spec(ints.spec());
        self.set_frames(ints.frames());
        for (to, from) in self.channels_mut().zip(ints.channels()) {
            for (t, f) in to.iter_mut().zip(from) {
                *t = *f as f32 * (1.0 / 2_147_483_648.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ChannelLayout;

    fn counting(channels: usize, frames: usize) -> Buffer {
        let spec = Spec::new(48_000, ChannelLayout::from_count(channels));
        let planes: Vec<Vec<f32>> =
            (0..channels).map(|c| (0..frames).map(|f| (c * 1000 + f) as f32).collect()).collect();
        Buffer::from_channels(spec, &planes)
    }

    #[test]
    fn interleaving_and_back_is_the_identity() {
        let a = counting(3, 7);
        let mut flat = Vec::new();
        a.interleave_into(&mut flat);
        assert_eq!(&flat[..4], &[0.0, 1000.0, 2000.0, 1.0]);
        let mut b = Buffer::new(a.spec(), 7);
        b.deinterleave_from(&flat);
        assert!(a.channels().eq(b.channels()));
    }

    #[test]
    fn drop_front_and_append_keep_the_rest() {
        let mut a = counting(2, 5);
        a.drop_front(2);
        assert_eq!(a.channel(1), &[1002.0, 1003.0, 1004.0]);
        let b = counting(2, 5);
        a.append(&b, 0, 2);
        a.append_silence(1);
        assert_eq!(a.channel(0), &[2.0, 3.0, 4.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn ints_are_left_justified() {
        let spec = Spec::new(48_000, ChannelLayout::MONO);
        let ints = IntBuffer::from_channels(spec, &[vec![i32::MIN, 0, 1 << 30]]);
        let mut floats = Buffer::new(spec, 3);
        floats.copy_from_int(&ints);
        assert_eq!(floats.channel(0), &[-1.0, 0.0, 0.5]);
    }
}
