//! Data chunks made of equal blocks: PCM frames, ADPCM and GSM blocks. Position by arithmetic, bounded memory.

use super::input::Input;
use super::stream::{Packet, PacketReader};
use crate::audio::{Buffer, IntBuffer};
use crate::error::Result;
use crate::formats::{Damage, StreamInfo};

/// Frames that a packet should hold at least. Fits the level-2 cache with its bytes for stereo; as large as the blocks that
/// jobs read, so that a packet is handed on without a copy.
const PACKET_FRAMES: usize = 8192;
/// Bytes that a packet holds at most, whatever the number of channels.
const PACKET_BYTES: usize = 1 << 20;

/// A coding in blocks of a fixed number of bytes, each decodable alone (or after the one before it).
pub(crate) trait BlockCodec: Send {
    /// Bytes of one block, all channels. Never 0.
    fn block_bytes(&self) -> usize;
    /// Frames of one block. Never 0.
    fn block_frames(&self) -> usize;
    /// Frames that the first `bytes` bytes of a block still give. Less than or equal to `block_frames`.
    fn frames_in_part(&self, bytes: usize) -> usize;
    /// Decodes whole blocks, and at the end of the data maybe a part of one, to integers. `out` has the right number
    /// of frames.
    fn decode_int(&mut self, bytes: &[u8], out: &mut IntBuffer);
    /// As [`BlockCodec::decode_int`], to floats. Default: none, for codecs whose samples are integers.
    fn decode_float(&mut self, _bytes: &[u8], _out: &mut Buffer) {}
    /// True when `decode_float` gives what `decode_int` gives divided by 2^31, rounded; then integers need not be made
    /// when floats are wanted.
    fn has_float(&self) -> bool {
        false
    }
    /// Blocks to decode before the wanted one after a seek, for codecs with memory.
    fn preroll_blocks(&self) -> u64 {
        0
    }
    /// Forgets the memory of earlier blocks.
    fn reset(&mut self) {}
}

/// Where the blocks are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// First byte.
    pub start: u64,
    /// Number of bytes that are there, whatever the header says.
    pub bytes: u64,
    /// Frames the container states, if it does; only fewer frames than the bytes hold are taken from it.
    pub stated_frames: Option<u64>,
}

impl Extent {
    /// Frames of the extent when coded by `codec`.
    pub fn frames(&self, codec: &impl BlockCodec) -> u64 {
        let block = codec.block_bytes().max(1) as u64;
        let part = codec.frames_in_part((self.bytes % block) as usize) as u64;
        let held = (self.bytes / block).saturating_mul(codec.block_frames() as u64).saturating_add(part);
        self.stated_frames.map_or(held, |n| n.min(held))
    }
}

/// Reads an [`Extent`] of blocks.
pub(crate) struct BlockReader<C> {
    input: Input,
    codec: C,
    info: StreamInfo,
    extent: Extent,
    frames: u64,
    /// Next frame to decode.
    frame: u64,
    blocks_per_packet: usize,
    bytes: Vec<u8>,
    found: Damage,
}

impl<C: BlockCodec> BlockReader<C> {
    /// Reads `extent` of `input`. `found` is the damage that the headers already showed.
    pub fn new(mut input: Input, codec: C, info: StreamInfo, extent: Extent, found: Damage) -> Result<Self> {
        input.seek(extent.start)?;
        let (bytes, frames) = (codec.block_bytes().max(1), codec.block_frames().max(1));
        let blocks_per_packet = PACKET_FRAMES.div_ceil(frames).min(PACKET_BYTES / bytes).max(1);
        let total = extent.frames(&codec);
        Ok(Self { input, codec, info, extent, frames: total, frame: 0, blocks_per_packet, bytes: Vec::new(), found })
    }

    /// Reads the bytes of the next packet; returns how many frames they give.
    fn fetch(&mut self, damage: &mut Damage) -> Result<usize> {
        let (block_bytes, block_frames) = (self.codec.block_bytes(), self.codec.block_frames());
        let left_frames = self.frames - self.frame;
        let done_bytes = self.frame / block_frames as u64 * block_bytes as u64;
        let left_bytes = self.extent.bytes.saturating_sub(done_bytes);
        let want_blocks = (self.blocks_per_packet as u64).min(left_frames.div_ceil(block_frames as u64));
        let want = want_blocks.saturating_mul(block_bytes as u64).min(left_bytes) as usize;
        self.bytes.resize(want, 0);
        let got = self.input.read(&mut self.bytes)?;
        if got < want {
            // The file became shorter than it was when it was opened.
            damage.truncated = true;
            damage.note(Some(self.frame), Some(self.input.absolute(self.input.position())), "input ended early");
            self.bytes.truncate(got);
            self.frames = self.frame;
        }
        let frames = got / block_bytes * block_frames + self.codec.frames_in_part(got % block_bytes);
        let frames = (frames as u64).min(left_frames) as usize;
        self.frames = self.frames.max(self.frame + frames as u64);
        Ok(frames)
    }
}

impl<C: BlockCodec> PacketReader for BlockReader<C> {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next_packet(&mut self, packet: &mut Packet, damage: &mut Damage) -> Result<bool> {
        if self.frame >= self.frames {
            return Ok(false);
        }
        let frames = self.fetch(damage)?;
        if frames == 0 {
            return Ok(false);
        }
        match packet {
            Packet::Int(out) => {
                out.reserve(self.info.spec, frames);
                out.set_frames(frames);
                self.codec.decode_int(&self.bytes, out);
            }
            Packet::Float(out) => {
                out.reserve(self.info.spec, frames);
                out.set_frames(frames);
                self.codec.decode_float(&self.bytes, out);
            }
        }
        self.frame += frames as u64;
        Ok(true)
    }

    fn seek(&mut self, frame: u64) -> Result<u64> {
        let block = frame.min(self.frames) / self.codec.block_frames() as u64;
        let block = block.saturating_sub(self.codec.preroll_blocks());
        self.codec.reset();
        self.input.seek(self.extent.start + block * self.codec.block_bytes() as u64)?;
        self.frame = block * self.codec.block_frames() as u64;
        Ok(self.frame)
    }

    fn stated_frames(&self) -> Option<u64> {
        None
    }

    fn found(&mut self) -> Damage {
        std::mem::take(&mut self.found)
    }

    fn floats_from_ints(&self) -> bool {
        self.codec.has_float()
    }
}
