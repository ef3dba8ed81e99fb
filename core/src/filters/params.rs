//! Parameters of filters: name, unit, range and default, told once.
//!
//! [`filter_params!`] takes one table per filter and makes of it the struct for serde and JSON Schema, its defaults, its
//! range checks and its entry in the [registry](super::registry), so that the four cannot disagree.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What a filter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Level and sample format.
    Level,
    /// Tone: equalisers, high-pass, low-pass.
    Tone,
    /// Dynamics: compressor, gate, limiter.
    Dynamics,
    /// Restoration: noise, hum, clicks, clipping, reverberation.
    Restoration,
    /// Time: trims, fades, speed, pitch.
    Time,
    /// Space: channels, panning, stereo image.
    Space,
    /// Effects: reverberation, echo, modulation, saturation.
    Effects,
    /// Routing: filters within filters.
    Routing,
}

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// A real number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of [`ParamInfo::choices`].
    Choice,
    /// A channel layout: `mono`, `stereo`, `5.1`, a count, ...
    Layout,
    /// Rows of numbers. JSON only.
    Matrix,
    /// A list of objects or numbers, as the JSON Schema says. JSON only.
    List,
    /// Text, such as a path.
    Text,
}

/// One parameter of a filter, for help and generated user interfaces.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ParamInfo {
    /// Name, ending in the unit.
    pub name: &'static str,
    /// Type.
    pub kind: ParamKind,
    /// Unit for display; empty when there is none.
    pub unit: &'static str,
    /// Smallest allowed value of numbers.
    pub min: Option<f64>,
    /// Largest allowed value of numbers.
    pub max: Option<f64>,
    /// Allowed values of choices.
    pub choices: &'static [&'static str],
    /// True when it can change while the filter runs: set by a host, or given as a curve.
    pub live: bool,
    /// Value when it is not given.
    pub default: Value,
    /// What it does, in a sentence.
    pub summary: String,
}

/// A type that a parameter may have.
pub trait ParamValue {
    /// Type for display.
    const KIND: ParamKind;
    /// Allowed values of choices.
    const CHOICES: &'static [&'static str] = &[];

    /// The value to hold against the range; none when there is no number.
    fn number(&self) -> Option<f64> {
        None
    }

    /// Sets a real number; false for other types.
    fn set_number(&mut self, _value: f64) -> bool {
        false
    }

    /// False when it holds filters of which one is for files only.
    fn is_realtime(&self) -> bool {
        true
    }

    /// Levels of filters within filters: 0 for all but lists of filters.
    fn depth(&self) -> usize {
        0
    }

    /// Checks what has parts, such as the bands of a list. `name` is that of the parameter, with its filter.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::InvalidValue`].
    fn check_parts(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// Loads the recordings that it names; see [`super::assets`].
    ///
    /// # Errors
    /// Those of the loader.
    fn load_assets(&mut self, _loader: &mut dyn super::assets::AssetLoader) -> Result<()> {
        Ok(())
    }
}

impl ParamValue for f64 {
    const KIND: ParamKind = ParamKind::Number;
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
    fn set_number(&mut self, value: f64) -> bool {
        *self = value;
        true
    }
}
impl ParamValue for u32 {
    const KIND: ParamKind = ParamKind::Integer;
    fn number(&self) -> Option<f64> {
        Some(f64::from(*self))
    }
}
impl ParamValue for bool {
    const KIND: ParamKind = ParamKind::Boolean;
}
impl ParamValue for crate::audio::ChannelLayout {
    const KIND: ParamKind = ParamKind::Layout;
}
impl ParamValue for Vec<Vec<f64>> {
    const KIND: ParamKind = ParamKind::Matrix;
}
impl ParamValue for String {
    const KIND: ParamKind = ParamKind::Text;
}

/// What every parameter struct has; implemented by [`filter_params!`].
pub trait FilterParams: Default + Serialize + serde::de::DeserializeOwned + schemars::JsonSchema {
    /// Name of the filter in recipes.
    const NAME: &'static str;
    /// Last part of the path of its module: the name of its file.
    const MODULE: &'static str;
    /// What it is for.
    const CATEGORY: Category;
    /// Number of its parameters.
    const COUNT: usize;
    /// False for filters that are for files only: they may hold back, allocate or change the length.
    const REALTIME: bool;

    /// What the filter does.
    fn summary() -> String;
    /// Its parameters in order, as data.
    fn described() -> &'static [Described];
    /// Its parameters in order.
    fn parameters() -> Vec<ParamInfo> {
        infos(Self::described(), &serde_json::to_value(Self::default()).unwrap_or_default())
    }
    /// Those of a JSON object; what it does not have keeps its default, and what it has too much is left aside. As the type's
    /// `Deserialize` does, in a tenth of the code.
    ///
    /// # Errors
    /// A value of the wrong type.
    fn from_object(object: Map<String, Value>) -> std::result::Result<Self, serde_json::Error>;
    /// Checks the parameters against their ranges.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first that is outside, NaN included.
    fn check_ranges(&self) -> Result<()>;
    /// Unit of the parameter at `index`; empty when there is none.
    fn unit(index: usize) -> &'static str {
        Self::described().get(index).and_then(|p| p.range.first()).map_or("", |(_, _, unit)| unit)
    }
    /// The real number at `index` of [`FilterParams::parameters`]; none for other types.
    fn number(&self, index: usize) -> Option<f64>;
    /// [`FilterParams::REALTIME`], and that of the filters within.
    fn is_realtime(&self) -> bool;
    /// Levels of filters within: 0 for most.
    fn depth(&self) -> usize;
    /// Sets the parameter at `index` of [`FilterParams::parameters`], held to its range; false when it is no real number
    /// or the value is NaN. Real-time safe.
    fn set_number(&mut self, index: usize, value: f64) -> bool;
    /// Loads the recordings that parameters name.
    ///
    /// # Errors
    /// Those of the loader.
    fn load_assets(&mut self, loader: &mut dyn super::assets::AssetLoader) -> Result<()>;
}

/// What [`filter_params!`] says of a parameter. Data, and one function that reads it: code for each parameter would be large.
pub struct Described {
    /// Name, ending in the unit.
    pub name: &'static str,
    /// Type.
    pub kind: ParamKind,
    /// Allowed values of choices.
    pub choices: &'static [&'static str],
    /// Smallest and largest value, and the unit; empty for what is no number.
    pub range: &'static [(f64, f64, &'static str)],
    /// Lines of the documentation.
    pub doc: &'static [&'static str],
}

fn infos(described: &[Described], defaults: &Value) -> Vec<ParamInfo> {
    let info = |p: &Described| {
        let range = p.range.first();
        ParamInfo {
            name: p.name,
            kind: p.kind,
            unit: range.map_or("", |(_, _, unit)| unit),
            min: range.map(|(min, _, _)| *min),
            max: range.map(|(_, max, _)| *max),
            choices: p.choices,
            live: false, // the registry asks the filter
            default: defaults.get(p.name).cloned().unwrap_or_default(),
            summary: paragraph(p.doc),
        }
    };
    described.iter().map(info).collect()
}

/// Moves a value from a JSON object to its parameter. Used by [`filter_params!`].
#[inline(never)]
pub(super) fn take<T: serde::de::DeserializeOwned>(
    object: &mut Map<String, Value>,
    name: &str,
    to: &mut T,
) -> std::result::Result<(), serde_json::Error> {
    if let Some(value) = object.shift_remove(name) {
        *to = serde_json::from_value(value)?;
    }
    Ok(())
}

/// Checks one parameter. Used by [`filter_params!`].
pub(super) fn check<T: ParamValue>(
    filter: &'static str,
    name: &'static str,
    value: &T,
    min: f64,
    max: f64,
    unit: &'static str,
) -> Result<()> {
    match value.number() {
        Some(number) if !(number >= min && number <= max) => {
            Err(Error::OutOfRange { name: format!("{filter}.{name}"), value: number, min, max, unit })
        }
        _ => Ok(()),
    }
}

/// The last part of a path with `::`.
pub(super) const fn last_part(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b':' {
        start -= 1;
    }
    path.split_at(start).1
}

/// Joins doc lines to a paragraph.
pub(super) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Defines a parameter struct. See the module's documentation; `gain.rs` is the shortest example.
macro_rules! filter_params {
    (
        $(#[doc = $summary:literal])+
        pub struct $name:ident for $id:literal in $category:ident, realtime $realtime:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident : $ty:ty = $default:expr $(, $min:literal to $max:literal $unit:literal)? ;
            )+
        }
    ) => {
        $(#[doc = $summary])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(
                    #[doc = concat!(" ", stringify!($min), " to ", stringify!($max), " ", $unit, ", default ", stringify!($default), ".")]
                    #[schemars(range(min = $min, max = $max))]
                )?
                pub $field: $ty,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::filters::params::FilterParams for $name {
            const NAME: &'static str = $id;
            const MODULE: &'static str = $crate::filters::params::last_part(module_path!());
            const CATEGORY: $crate::filters::params::Category = $crate::filters::params::Category::$category;
            const COUNT: usize = [$(stringify!($field)),+].len();
            const REALTIME: bool = $realtime;

            fn summary() -> String {
                $crate::filters::params::paragraph(&[$($summary),+])
            }

            fn described() -> &'static [$crate::filters::params::Described] {
                use $crate::filters::params::{Described, ParamValue};
                const {
                    &[$(Described {
                        name: stringify!($field),
                        kind: <$ty as ParamValue>::KIND,
                        choices: <$ty as ParamValue>::CHOICES,
                        range: &[$(($min as f64, $max as f64, $unit))?],
                        doc: &[$($doc),+],
                    }),+]
                }
            }

            fn from_object(
                mut object: serde_json::Map<String, serde_json::Value>,
            ) -> std::result::Result<Self, serde_json::Error> {
                let mut params = Self::default();
                $($crate::filters::params::take(&mut object, stringify!($field), &mut params.$field)?;)+
                Ok(params)
            }

            fn check_ranges(&self) -> $crate::error::Result<()> {
                $(
                    $(
                        $crate::filters::params::check(
                            $id, stringify!($field), &self.$field, $min as f64, $max as f64, $unit)?;
                    )?
                    $crate::filters::params::ParamValue::check_parts(
                        &self.$field, concat!($id, ".", stringify!($field)))?;
                )+
                Ok(())
            }

            fn load_assets(
                &mut self,
                loader: &mut dyn $crate::filters::assets::AssetLoader,
            ) -> $crate::error::Result<()> {
                $($crate::filters::params::ParamValue::load_assets(&mut self.$field, loader)?;)+
                Ok(())
            }

            #[allow(unused_assignments)]
            fn number(&self, index: usize) -> Option<f64> {
                use $crate::filters::params::{ParamKind, ParamValue};
                let mut at = 0;
                $(
                    if at == index {
                        return if <$ty as ParamValue>::KIND == ParamKind::Number { self.$field.number() } else { None };
                    }
                    at += 1;
                )+
                None
            }

            fn is_realtime(&self) -> bool {
                $realtime $(&& $crate::filters::params::ParamValue::is_realtime(&self.$field))+
            }

            fn depth(&self) -> usize {
                0 $(.max($crate::filters::params::ParamValue::depth(&self.$field)))+
            }

            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn set_number(&mut self, index: usize, mut value: f64) -> bool {
                let mut at = 0;
                $(
                    if at == index {
                        $(value = value.clamp($min as f64, $max as f64);)?
                        return !value.is_nan()
                            && $crate::filters::params::ParamValue::set_number(&mut self.$field, value);
                    }
                    at += 1;
                )+
                false
            }
        }
    };
}

/// Defines an enum parameter: variants with their names in recipes; the first is the default.
macro_rules! filter_choice {
    (
        $(#[doc = $summary:literal])+
        pub enum $name:ident { $first:ident = $first_id:literal : $first_doc:literal, $($variant:ident = $id:literal : $doc:literal),* $(,)? }
    ) => {
        $(#[doc = $summary])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            #[doc = $first_doc]
            #[default]
            #[serde(rename = $first_id)]
            $first,
            $(
                #[doc = $doc]
                #[serde(rename = $id)]
                $variant,
            )*
        }

        impl $crate::filters::params::ParamValue for $name {
            const KIND: $crate::filters::params::ParamKind = $crate::filters::params::ParamKind::Choice;
            const CHOICES: &'static [&'static str] = &[$first_id, $($id),*];
        }
    };
}

pub(super) use {filter_choice, filter_params};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filters::compressor::CompressorParams;

    #[test]
    fn objects_are_read_as_serde_reads_them() {
        for given in [
            serde_json::json!({}),
            serde_json::json!({ "ratio": 8, "threshold_dbfs": -30.5 }),
            serde_json::to_value(CompressorParams::default()).unwrap(),
        ] {
            let by_serde: CompressorParams = serde_json::from_value(given.clone()).unwrap();
            assert_eq!(CompressorParams::from_object(given.as_object().cloned().unwrap()).unwrap(), by_serde);
        }
        for (name, value) in [("ratio", serde_json::json!("8")), ("threshold_dbfs", serde_json::json!(null))] {
            let object: Map<String, Value> = [(name.to_owned(), value)].into_iter().collect();
            let said = CompressorParams::from_object(object.clone()).unwrap_err().to_string();
            assert_eq!(said, serde_json::from_value::<CompressorParams>(object.into()).unwrap_err().to_string());
        }
    }
}
