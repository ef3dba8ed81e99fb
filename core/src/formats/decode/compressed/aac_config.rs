//! AudioSpecificConfig: ISO/IEC 14496-3 1.6.2.1.

use super::bytes::Bits;

/// Sampling frequencies by index (table 1.18).
const RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The parts of an AudioSpecificConfig that matter before decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AacConfig {
    /// Object type of the core codec: 1 Main, 2 LC, 3 SSR, 4 LTP, 17 ER LC, 23 ER LD, 39 ER ELD, 42 USAC, ...
    pub object_type: u32,
    /// Rate of the core codec in Hz.
    pub rate_hz: u32,
    /// Channel configuration; 0 when a program config element tells.
    pub channel_config: u32,
    /// Rate after spectral band replication, when it is signalled explicitly.
    pub sbr_rate_hz: Option<u32>,
    /// Parametric stereo is signalled explicitly.
    pub ps: bool,
    /// Samples per frame of the core codec.
    pub frame_samples: u64,
    /// Length of the config in bits, for LATM.
    pub bits: usize,
    /// The program config element, when there is one.
    pub program: Option<Program>,
}

/// What matters of a program config element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// Where it starts in the config, in bits.
    bit: usize,
    /// Channels, with the low frequency ones, and the number of elements that hold them.
    pub channels: u32,
    pub elements: u32,
}

impl AacConfig {
    /// Parses a config; None when it is cut or reserved.
    pub fn parse(data: &[u8]) -> Option<Self> {
        Self::read(&mut Bits::new(data), true)
    }

    /// Reads a config from a bit position. `sized` tells that it ends with the data, so that the backward compatible
    /// SBR extension after it can be recognised.
    pub fn read(b: &mut Bits<'_>, sized: bool) -> Option<Self> {
        let start = b.position();
        let mut object_type = read_object_type(b);
        let rate_hz = read_rate(b)?;
        let channel_config = b.get(4);
        let (mut sbr_rate_hz, mut ps) = (None, false);
        if matches!(object_type, 5 | 29) {
            ps = object_type == 29;
            sbr_rate_hz = Some(read_rate(b)?);
            object_type = read_object_type(b);
            if object_type == 22 {
                b.skip(4);
            }
        }
        let mut program = None;
        let mut frame_samples = 1024;
        if matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23) {
            let short = b.flag();
            frame_samples = match (object_type, short) {
                (23, true) => 480,
                (23, false) => 512,
                (_, true) => 960,
                _ => 1024,
            };
            if b.flag() {
                b.skip(14);
            }
            let extension = b.flag();
            if channel_config == 0 {
                program = Some(read_program(b));
            }
            if matches!(object_type, 6 | 20) {
                b.skip(3);
            }
            if extension {
                if object_type == 22 {
                    b.skip(16);
                }
                if matches!(object_type, 17 | 19 | 20 | 23) {
                    b.skip(3);
                }
                b.skip(1);
            }
        } else if object_type == 39 {
            frame_samples = if b.flag() { 480 } else { 512 };
        }
        if matches!(object_type, 17 | 19..=27 | 39) {
            b.skip(2); // epConfig
        }
        if b.overrun() {
            return None;
        }
        let bits = b.position() - start;
        if sized
            && sbr_rate_hz.is_none()
            && b.left() >= 16
            && b.get(11) == 0x2B7
            && read_object_type(b) == 5
            && b.flag()
        {
            sbr_rate_hz = read_rate(b);
            ps = b.left() >= 12 && b.get(11) == 0x548 && b.flag();
        }
        Some(Self { object_type, rate_hz, channel_config, sbr_rate_hz, ps, frame_samples, bits, program })
    }

    /// The config of an ADTS header (2 bits of profile, 4 of rate index, 3 of channels).
    pub fn of_adts(profile: u32, rate_index: u32, channels: u32) -> Option<Vec<u8>> {
        RATES_HZ.get(rate_index as usize)?;
        let word = (profile + 1) << 11 | rate_index << 7 | channels << 3;
        Some(vec![(word >> 8) as u8, word as u8])
    }

    /// Channels by the configuration or the program; 0 unknown.
    pub fn channels(&self) -> u32 {
        match (self.channel_config, self.program) {
            (0, Some(p)) => p.channels,
            (0, None) => 0,
            (7, _) => 8,
            (n, _) => n,
        }
    }

    /// Sets the object type inside the program config element to LC, which is the only one that the decoder accepts
    /// there; the element's own object type has no bearing on decoding.
    pub fn normalise_program(&self, asc: &mut [u8]) {
        if let (Some(p), true) = (self.program, self.object_type != 2) {
            for (bit, value) in [(p.bit + 4, false), (p.bit + 5, true)] {
                if let Some(byte) = asc.get_mut(bit / 8) {
                    let mask = 0x80 >> (bit % 8);
                    *byte = if value { *byte | mask } else { *byte & !mask };
                }
            }
        }
    }

    /// Index of a sampling frequency.
    pub fn rate_index(rate_hz: u32) -> Option<u32> {
        RATES_HZ.iter().position(|r| *r == rate_hz).map(|i| i as u32)
    }

    /// Name of the object type for messages.
    pub fn name(&self) -> String {
        let name = match self.object_type {
            1 => "AAC Main",
            2 => "AAC LC",
            3 => "AAC SSR",
            4 => "AAC LTP",
            6 => "AAC Scalable",
            17 => "ER AAC LC",
            19 => "ER AAC LTP",
            20 => "ER AAC Scalable",
            22 => "ER BSAC",
            23 => "ER AAC LD",
            32..=34 => "MPEG audio in AAC framing",
            36 => "MPEG-4 ALS",
            39 => "ER AAC ELD",
            42 => "xHE-AAC (USAC)",
            n => return format!("MPEG-4 audio object type {n}"),
        };
        name.into()
    }
}

fn read_object_type(b: &mut Bits<'_>) -> u32 {
    match b.get(5) {
        31 => 32 + b.get(6),
        n => n,
    }
}

fn read_rate(b: &mut Bits<'_>) -> Option<u32> {
    match b.get(4) {
        15 => Some(b.get(24)),
        i => RATES_HZ.get(i as usize).copied(),
    }
}

/// program_config_element (ISO/IEC 14496-3 4.5.1.2 table 4.2).
fn read_program(b: &mut Bits<'_>) -> Program {
    let bit = b.position();
    b.skip(4 + 2 + 4);
    let counts = [b.get(4), b.get(4), b.get(4)];
    let (lfe, assoc, cc) = (b.get(2), b.get(3), b.get(4));
    for skip in [4, 4, 3] {
        if b.flag() {
            b.skip(skip);
        }
    }
    let elements = counts.iter().sum::<u32>();
    let mut channels = lfe;
    for _ in 0..elements {
        channels += if b.flag() { 2 } else { 1 };
        b.skip(4);
    }
    b.skip((4 * (lfe + assoc) + 5 * cc) as usize);
    b.skip((8 - b.position() % 8) % 8);
    let comment = b.get(8) as usize;
    b.skip(8 * comment);
    Program { bit, channels, elements: elements + lfe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_extended_configs() {
        let lc = AacConfig::parse(&[0x12, 0x10]).unwrap();
        assert_eq!((lc.object_type, lc.rate_hz, lc.channel_config, lc.sbr_rate_hz), (2, 44_100, 2, None));
        // Explicit, hierarchical HE-AAC v2: 29, 24 kHz, mono, 48 kHz, LC.
        let he = AacConfig::parse(&[0xEB, 0x09, 0x88, 0x00]).unwrap();
        assert_eq!((he.object_type, he.rate_hz, he.sbr_rate_hz, he.ps), (2, 24_000, Some(48_000), true));
        // Backward compatible: LC 22.05 kHz stereo, then sync extension 0x2B7 with SBR at 44.1 kHz.
        let bc = AacConfig::parse(&[0x13, 0x90, 0x56, 0xE5, 0xA0]).unwrap();
        assert_eq!((bc.rate_hz, bc.sbr_rate_hz, bc.ps), (22_050, Some(44_100), false));
        assert_eq!(AacConfig::of_adts(1, 4, 2), Some(vec![0x12, 0x10]));
        assert!(AacConfig::parse(&[0x12]).is_none());
    }
}
