//! The 32-bit header of an MPEG audio frame: ISO/IEC 11172-3 2.4.1.3, ISO/IEC 13818-3 2.4.1.3, and the unofficial
//! "MPEG-2.5" extension to 8, 11.025 and 12 kHz.

/// kbit/s by bit rate index 1 to 14, for MPEG-1 layers I, II, III and MPEG-2/2.5 layers I, II/III.
const KBPS: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// One parsed frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MpegHeader {
    /// The 32 bits.
    pub word: u32,
    /// 0 for MPEG-1, 1 for MPEG-2, 2 for MPEG-2.5.
    pub version: u8,
    /// 1, 2 or 3.
    pub layer: u8,
    /// 0 means free format: the frame's length is not in the header.
    pub kbps: u16,
    pub rate_hz: u32,
    pub padding: bool,
    pub channels: usize,
    pub crc: bool,
}

impl MpegHeader {
    /// Length of the header itself.
    pub const BYTES: usize = 4;

    /// Parses the first four bytes of `data`; None when they are not a header.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let word = u32::from_be_bytes(data.get(..4)?.try_into().ok()?);
        let version = match (word >> 21 == 0x7FF, word >> 19 & 3) {
            (true, 3) => 0u8,
            (true, 2) => 1,
            (true, 0) => 2,
            _ => return None,
        };
        let layer = match word >> 17 & 3 {
            0 => return None,
            n => 4 - n as u8,
        };
        let rate_hz = [44_100, 48_000, 32_000].get((word >> 10 & 3) as usize)? >> version;
        let row = match (version, layer) {
            (0, l) => usize::from(l) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let kbps = match word >> 12 & 15 {
            0 => 0,
            i => *KBPS[row].get(i as usize - 1)?,
        };
        let channels = if word >> 6 & 3 == 3 { 1 } else { 2 };
        // Emphasis 2 is reserved, but the conformance stream `hecommon` has it.
        Some(Self {
            word,
            version,
            layer,
            kbps,
            rate_hz,
            padding: word >> 9 & 1 != 0,
            channels,
            crc: word >> 16 & 1 == 0,
        })
    }

    /// Frames (PCM) that one frame decodes to.
    pub fn samples(&self) -> u64 {
        match (self.layer, self.version) {
            (1, _) => 384,
            (3, 1 | 2) => 576,
            _ => 1152,
        }
    }

    /// Length of the whole frame in bytes; for free format by `free_slots`, the number of slots without padding.
    pub fn bytes(&self, free_slots: usize) -> usize {
        let slots = match (self.kbps, self.layer, self.version) {
            (0, ..) => free_slots,
            (k, 1, _) => 12_000 * usize::from(k) / self.rate_hz as usize,
            (k, 3, 1 | 2) => 72_000 * usize::from(k) / self.rate_hz as usize,
            (k, ..) => 144_000 * usize::from(k) / self.rate_hz as usize,
        };
        (slots + usize::from(self.padding)) * self.slot_bytes()
    }

    /// Bytes of one slot.
    pub fn slot_bytes(&self) -> usize {
        if self.layer == 1 { 4 } else { 1 }
    }

    /// True when both can be frames of one stream. Bit rate, padding and stereo mode may change, also between mono and
    /// stereo in files that were put together.
    pub fn same_stream(&self, other: &Self) -> bool {
        (self.version, self.layer, self.rate_hz) == (other.version, other.layer, other.rate_hz)
            && (self.kbps == 0) == (other.kbps == 0)
    }

    /// Length of layer III side information.
    pub fn side_info_bytes(&self) -> usize {
        match (self.version, self.channels) {
            (0, 1) => 17,
            (0, _) => 32,
            (_, 1) => 9,
            _ => 17,
        }
    }

    /// Bit rate indexes of this version and layer with their kbit/s, ascending.
    pub fn rates(&self) -> impl Iterator<Item = (u32, u16)> + use<> {
        let row = match (self.version, self.layer) {
            (0, l) => usize::from(l) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        KBPS[row].into_iter().enumerate().map(|(i, k)| (i as u32 + 1, k))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_of_the_standard() {
        // 128 kbit/s at 44.1 kHz: the well-known 417 and, padded, 418 bytes.
        let h = MpegHeader::parse(&[0xFF, 0xFB, 0x90, 0x00]).unwrap();
        assert_eq!((h.version, h.layer, h.kbps, h.rate_hz, h.channels), (0, 3, 128, 44_100, 2));
        assert_eq!((h.bytes(0), h.samples()), (417, 1152));
        assert_eq!(MpegHeader::parse(&[0xFF, 0xFB, 0x92, 0x00]).unwrap().bytes(0), 418);
        // Layer I counts in slots of 4 bytes: 12 * 384000 / 48000 = 96 slots.
        let h = MpegHeader::parse(&[0xFF, 0xFF, 0xC4, 0x00]).unwrap();
        assert_eq!((h.layer, h.kbps, h.bytes(0), h.samples()), (1, 384, 384, 384));
        let h = MpegHeader::parse(&[0xFF, 0xE3, 0x18, 0xC0]).unwrap();
        assert_eq!((h.version, h.rate_hz, h.channels, h.samples()), (2, 8_000, 1, 576));
        assert!(MpegHeader::parse(&[0xFF, 0xFB, 0xF0, 0x00]).is_none());
        assert!(MpegHeader::parse(b"RIFF").is_none());
    }
}
