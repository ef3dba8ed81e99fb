//! Colours, and the maps from level to colour.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// A colour, written `#rrggbb` as on web pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// 0 to 255.
    pub red: u8,
    /// 0 to 255.
    pub green: u8,
    /// 0 to 255.
    pub blue: u8,
}

impl Colour {
    /// The colour of a number such as `0xff8000`.
    pub const fn from_rgb(rgb: u32) -> Self {
        Self { red: (rgb >> 16) as u8, green: (rgb >> 8) as u8, blue: rgb as u8 }
    }

    /// This colour with a share of `other` in it, 0 to 1.
    pub fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Self { red: mix(self.red, other.red), green: mix(self.green, other.green), blue: mix(self.blue, other.blue) }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl FromStr for Colour {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let rgb = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        rgb.map(Self::from_rgb).ok_or_else(|| Error::InvalidValue {
            name: "colour".into(),
            value: text.to_owned(),
            allowed: "#rrggbb, such as #1f77b4".into(),
        })
    }
}

impl Serialize for Colour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Colour {
    fn schema_name() -> Cow<'static, str> {
        "Colour".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A colour, written `#rrggbb` as on web pages.",
            "type": "string",
            "pattern": "^#[0-9a-fA-F]{6}$",
        })
    }
}

/// From level to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColourMap {
    /// Black over purple and orange to pale yellow; as matplotlib's.
    #[default]
    Magma,
    /// Purple over green to yellow; as matplotlib's. Its colours differ for colour-blind people as well.
    Viridis,
    /// Black over red to pale yellow; as matplotlib's.
    Inferno,
    /// Black to white.
    Grey,
    /// White to black, for print.
    Paper,
}

/// Every sixteenth of the 256 colours of matplotlib (CC0), <https://bids.github.io/colormap>. Straight lines between them miss the others
/// by at most 7 of 255.
const MAGMA: [u32; 17] = [
    0x00_0004, 0x0a_0822, 0x1d_1147, 0x36_106b, 0x51_127c, 0x6a_1c81, 0x83_2681, 0x9c_2e7f, 0xb7_3779, 0xd0_416f,
    0xe7_5263, 0xf5_6b5c, 0xfc_8961, 0xfe_a772, 0xfe_c488, 0xfd_e2a3, 0xfc_fdbf,
];
const VIRIDIS: [u32; 17] = [
    0x44_0154, 0x48_186a, 0x47_2d7b, 0x42_4086, 0x3b_528b, 0x33_638d, 0x2c_728e, 0x26_828e, 0x21_918c, 0x1f_a088,
    0x28_ae80, 0x3f_bc73, 0x5e_c962, 0x84_d44b, 0xad_dc30, 0xd8_e219, 0xfd_e725,
];
const INFERNO: [u32; 17] = [
    0x00_0004, 0x0b_0724, 0x21_0c4a, 0x3d_0965, 0x57_106e, 0x71_196e, 0x8a_226a, 0xa3_2c61, 0xbc_3754, 0xd2_4644,
    0xe4_5a31, 0xf1_731d, 0xf9_8e09, 0xfc_ac11, 0xf9_cb35, 0xf2_ea69, 0xfc_ffa4,
];
const GREY: [u32; 2] = [0x00_0000, 0xff_ffff];
const PAPER: [u32; 2] = [0xff_ffff, 0x00_0000];

impl ColourMap {
    /// All maps.
    pub const ALL: [Self; 5] = [Self::Magma, Self::Viridis, Self::Inferno, Self::Grey, Self::Paper];

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Magma => "magma",
            Self::Viridis => "viridis",
            Self::Inferno => "inferno",
            Self::Grey => "grey",
            Self::Paper => "paper",
        }
    }

    /// The colour of a place between the floor (0) and the top (1); what is outside counts as the end.
    pub fn colour(self, place: f64) -> Colour {
        let points: &[u32] = match self {
            Self::Magma => &MAGMA,
            Self::Viridis => &VIRIDIS,
            Self::Inferno => &INFERNO,
            Self::Grey => &GREY,
            Self::Paper => &PAPER,
        };
        let at = place.clamp(0.0, 1.0) * (points.len() - 1) as f64;
        let below = (at as usize).min(points.len() - 2);
        Colour::from_rgb(points[below]).mixed(Colour::from_rgb(points[below + 1]), at - below as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_as_written_and_nothing_else() {
        let orange: Colour = "#FF8000".parse().unwrap();
        assert_eq!((orange, orange.to_string().as_str()), (Colour::from_rgb(0xff_8000), "#ff8000"));
        assert_eq!(serde_json::from_str::<Colour>("\"#ff8000\"").unwrap(), orange);
        for wrong in ["ff8000", "#ff800", "#ff80000", "#+f8000", "#gg0000", "red", ""] {
            let error = wrong.parse::<Colour>().unwrap_err();
            assert!(error.to_string().contains("#rrggbb"), "{wrong}: {error}");
        }
    }

    #[test]
    fn maps_begin_and_end_where_they_should_and_get_lighter() {
        let light = |c: Colour| 0.2126 * f64::from(c.red) + 0.7152 * f64::from(c.green) + 0.0722 * f64::from(c.blue);
        for map in ColourMap::ALL {
            assert_eq!(serde_json::to_value(map).unwrap(), map.name());
            assert_eq!((map.colour(-1.0), map.colour(2.0)), (map.colour(0.0), map.colour(1.0)));
            let lights: Vec<f64> = (0..=100).map(|i| light(map.colour(f64::from(i) / 100.0))).collect();
            let rises = lights.windows(2).all(|pair| pair[0] < pair[1]);
            let falls = lights.windows(2).all(|pair| pair[0] > pair[1]);
            assert!(if map == ColourMap::Paper { falls } else { rises }, "{map:?}: {lights:?}");
        }
        // matplotlib.colormaps[name](i), straight lines being off by 7 at most.
        for (map, i, rgb) in [
            (ColourMap::Magma, 64.0, 0x51_127c),
            (ColourMap::Viridis, 100.0, 0x2a_768e),
            (ColourMap::Inferno, 200.0, 0xfb_9d07),
        ] {
            let (got, want) = (map.colour(i / 255.0), Colour::from_rgb(rgb));
            let off = [(got.red, want.red), (got.green, want.green), (got.blue, want.blue)].map(|(a, b)| a.abs_diff(b));
            assert!(off.iter().all(|o| *o <= 7), "{map:?}: {got}, not {want}");
        }
    }
}
