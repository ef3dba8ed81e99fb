//! Channel layouts in WAVE order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A loudspeaker position. The value is its bit in a WAVEFORMATEXTENSIBLE channel mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[allow(missing_docs)] // the names are the documentation
pub enum Channel {
    FrontLeft = 1,
    FrontRight = 1 << 1,
    FrontCenter = 1 << 2,
    Lfe = 1 << 3,
    BackLeft = 1 << 4,
    BackRight = 1 << 5,
    FrontLeftOfCenter = 1 << 6,
    FrontRightOfCenter = 1 << 7,
    BackCenter = 1 << 8,
    SideLeft = 1 << 9,
    SideRight = 1 << 10,
    TopCenter = 1 << 11,
    TopFrontLeft = 1 << 12,
    TopFrontCenter = 1 << 13,
    TopFrontRight = 1 << 14,
    TopBackLeft = 1 << 15,
    TopBackCenter = 1 << 16,
    TopBackRight = 1 << 17,
}

const ALL: [Channel; 18] = [
    Channel::FrontLeft,
    Channel::FrontRight,
    Channel::FrontCenter,
    Channel::Lfe,
    Channel::BackLeft,
    Channel::BackRight,
    Channel::FrontLeftOfCenter,
    Channel::FrontRightOfCenter,
    Channel::BackCenter,
    Channel::SideLeft,
    Channel::SideRight,
    Channel::TopCenter,
    Channel::TopFrontLeft,
    Channel::TopFrontCenter,
    Channel::TopFrontRight,
    Channel::TopBackLeft,
    Channel::TopBackCenter,
    Channel::TopBackRight,
];

/// Number and positions of channels. Channels with a position are always in WAVE (mask bit) order inside the
/// library; decoders and encoders reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelLayout {
    count: u16,
    /// Bits of [`Channel`]; 0 when the positions are not known (discrete channels).
    mask: u32,
}

impl ChannelLayout {
    /// One channel, in the centre.
    pub const MONO: Self = Self { count: 1, mask: 0x4 };
    /// Left, right.
    pub const STEREO: Self = Self { count: 2, mask: 0x3 };
    /// L R C LFE Ls Rs, ITU-R BS.775 with the surrounds at the back bits (as WAVE and FLAC have it).
    pub const SURROUND_5_1: Self = Self { count: 6, mask: 0x3F };
    /// L R C LFE Lb Rb Ls Rs.
    pub const SURROUND_7_1: Self = Self { count: 8, mask: 0x63F };

    /// The usual layout of `count` channels (that of FLAC and of WAVE without a mask); discrete above 8.
    pub fn from_count(count: usize) -> Self {
        let mask = match count {
            1 => 0x4,
            2 => 0x3,
            3 => 0x7,
            4 => 0x33,
            5 => 0x37,
            6 => 0x3F,
            7 => 0x70F,
            8 => 0x63F,
            _ => 0,
        };
        Self { count: u16::try_from(count).unwrap_or(u16::MAX), mask }
    }

    /// Layout of a WAVE channel mask. A mask that does not match `count` gives discrete channels.
    pub fn from_mask(mask: u32, count: usize) -> Self {
        let count16 = u16::try_from(count).unwrap_or(u16::MAX);
        if mask.count_ones() as usize == count && mask < 1 << 18 {
            Self { count: count16, mask }
        } else {
            Self::discrete(count)
        }
    }

    /// `count` channels without positions.
    pub fn discrete(count: usize) -> Self {
        Self { count: u16::try_from(count).unwrap_or(u16::MAX), mask: 0 }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        usize::from(self.count)
    }

    /// WAVE channel mask; 0 for discrete channels.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// Positions in order; empty for discrete channels.
    pub fn positions(&self) -> impl Iterator<Item = Channel> + use<> {
        let mask = self.mask;
        ALL.into_iter().filter(move |c| mask & (*c as u32) != 0)
    }

    /// Index of a position within the frame, when the layout has it.
    pub fn index_of(&self, channel: Channel) -> Option<usize> {
        self.positions().position(|c| c == channel)
    }

    /// Name: `mono`, `stereo`, `2.1`, `quad`, `5.0`, `5.1`, `7.1`, ... or `6 channels`.
    pub fn name(&self) -> String {
        match (self.count, self.mask) {
            (1, _) => "mono".into(),
            (2, 0x3) => "stereo".into(),
            (3, 0x7) => "3.0".into(),
            (3, 0xB) => "2.1".into(),
            (4, 0x33) => "quad".into(),
            (4, 0x107) => "4.0".into(),
            (5, 0x37 | 0x607) => "5.0".into(),
            (6, 0x3F) => "5.1".into(),
            (6, 0x60F) => "5.1(side)".into(),
            (7, 0x70F) => "6.1".into(),
            (8, 0x63F) => "7.1".into(),
            (n, 0) => format!("{n} channels"),
            (n, m) => format!("{n} channels (mask 0x{m:X})"),
        }
    }

    /// Parses what [`ChannelLayout::name`] gives, and plain channel counts.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        let known = [
            ("mono", Self::MONO),
            ("stereo", Self::STEREO),
            ("3.0", Self { count: 3, mask: 0x7 }),
            ("2.1", Self { count: 3, mask: 0xB }),
            ("quad", Self { count: 4, mask: 0x33 }),
            ("4.0", Self { count: 4, mask: 0x107 }),
            ("5.0", Self { count: 5, mask: 0x37 }),
            ("5.1", Self::SURROUND_5_1),
            ("5.1(side)", Self { count: 6, mask: 0x60F }),
            ("6.1", Self { count: 7, mask: 0x70F }),
            ("7.1", Self::SURROUND_7_1),
        ];
        if let Some((_, layout)) = known.into_iter().find(|(n, _)| *n == name) {
            return Some(layout);
        }
        if let Some((count, rest)) = name.split_once(" channels") {
            let count = count.parse::<u16>().ok().filter(|n| *n > 0)?;
            return match rest.strip_prefix(" (mask 0x").and_then(|m| m.strip_suffix(')')) {
                Some(mask) => Some(Self::from_mask(u32::from_str_radix(mask, 16).ok()?, usize::from(count))),
                None => Some(Self::discrete(usize::from(count))),
            };
        }
        name.parse::<u16>().ok().filter(|n| *n > 0).map(|n| Self::from_count(usize::from(n)))
    }
}

// As a name in JSON and YAML: people read it.
impl Serialize for ChannelLayout {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.name())
    }
}
impl<'de> Deserialize<'de> for ChannelLayout {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        Self::parse(&name).ok_or_else(|| {
            serde::de::Error::custom(format!("'{name}' is not a channel layout (mono, stereo, 5.1, 7.1, a count, ...)"))
        })
    }
}
impl JsonSchema for ChannelLayout {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ChannelLayout".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Channel layout: mono, stereo, 2.1, 3.0, quad, 4.0, 5.0, 5.1, 5.1(side), 6.1, 7.1, or a channel count."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_for_every_usual_count() {
        for n in 1..=24 {
            let layout = ChannelLayout::from_count(n);
            assert_eq!(layout.channels(), n);
            assert_eq!(ChannelLayout::parse(&layout.name()), Some(layout), "{n}");
        }
    }

    #[test]
    fn wave_order_indexes() {
        let l = ChannelLayout::SURROUND_5_1;
        assert_eq!(l.index_of(Channel::FrontCenter), Some(2));
        assert_eq!(l.index_of(Channel::Lfe), Some(3));
        assert_eq!(l.index_of(Channel::BackRight), Some(5));
        assert_eq!(l.index_of(Channel::SideLeft), None);
    }
}
