//! The list of all filters, for help and generated user interfaces.

use std::sync::OnceLock;

use serde::Serialize;

use super::params::{Category, ParamInfo};
use super::spec::{self, FilterSpec};
use crate::error::{Error, Result};

/// One filter.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FilterInfo {
    /// Name in recipes.
    pub name: &'static str,
    /// Name of the module, and of the file in `core/src/filters`, where its maths and their sources are.
    pub module: &'static str,
    /// What it is for.
    pub category: Category,
    /// False for filters that are for files only.
    pub realtime: bool,
    /// What it does.
    pub summary: String,
    /// Parameters in order.
    pub parameters: Vec<ParamInfo>,
}

impl FilterInfo {
    /// The parameter called `name`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the closest that exists.
    pub fn parameter(&self, name: &str) -> Result<&ParamInfo> {
        Ok(&self.parameters[self.parameter_index(name)?])
    }

    /// Place of the parameter called `name`, as [`super::Chain::set_parameter_at`] wants it.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the closest that exists.
    pub fn parameter_index(&self, name: &str) -> Result<usize> {
        self.parameters.iter().position(|p| p.name == name).ok_or_else(|| {
            let mut error = Error::unknown_name("parameter", name, self.parameters.iter().map(|p| p.name));
            if let Error::UnknownName { name, what, .. } = &mut error {
                (*what, *name) = ("filter parameter", format!("{}.{name}", self.name));
            }
            error
        })
    }
}

/// All filters.
pub fn filters() -> Vec<FilterInfo> {
    all().to_vec()
}

/// The list, made once. Whether a parameter is live the filter itself says.
fn all() -> &'static [FilterInfo] {
    static ALL: OnceLock<Vec<FilterInfo>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = spec::all();
        for info in &mut all {
            let Ok(plain) = FilterSpec::from_params(info.name, serde_json::Map::new()) else { continue };
            let Ok(mut filter) = plain.build() else { continue };
            for (index, param) in info.parameters.iter_mut().enumerate() {
                param.live = plain.number(index).is_some_and(|value| filter.set_parameter(index, value));
            }
        }
        all
    })
}

/// Other names that recipes may use, with the filter they stand for.
pub(super) const ALIASES: [(&str, &str); 1] = [("bandreject", "notch")];

/// The filter called `name`, which may be another name for it.
///
/// # Errors
/// [`Error::UnknownName`] with the closest that exists.
pub fn find(name: &str) -> Result<FilterInfo> {
    info(name).cloned()
}

/// As [`find`], without a copy.
pub(super) fn info(name: &str) -> Result<&'static FilterInfo> {
    let all = all();
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, filter)| *filter);
    all.iter().find(|f| f.name == name).ok_or_else(|| Error::unknown_name("filter", name, all.iter().map(|f| f.name)))
}

#[cfg(test)]
mod tests {
    use super::super::FilterSpec;
    use super::*;

    #[test]
    fn every_default_is_in_range_and_names_agree_with_serde() {
        let all = filters();
        for info in &all {
            let spec: FilterSpec = serde_json::from_value(serde_json::json!({ "type": info.name })).unwrap();
            assert_eq!(spec.name(), info.name);
            spec.validate().unwrap();
            assert!(info.summary.ends_with('.') && info.summary.len() > 20, "{}", info.name);
            let json = serde_json::to_value(&spec).unwrap();
            for p in &info.parameters {
                assert_eq!(json[p.name], p.default, "{}.{}", info.name, p.name);
                assert!(p.summary.ends_with('.') || p.summary.ends_with(';'), "{}.{}", info.name, p.name);
                if let (Some(min), Some(max)) = (p.min, p.max) {
                    assert!(min < max);
                    let whole = p.kind == super::super::params::ParamKind::Integer;
                    for (value, good) in [(min, true), (max, true), (min - 1.0, false), (max + 1.0, false)] {
                        if whole && value < 0.0 {
                            continue;
                        }
                        let number = if whole { serde_json::json!(value as u64) } else { serde_json::json!(value) };
                        let spec = FilterSpec::from_json(serde_json::json!({ "type": info.name, p.name: number }));
                        assert_eq!(spec.is_ok(), good, "{}.{} = {value}", info.name, p.name);
                    }
                }
            }
        }
        let mut names: Vec<_> = all.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn other_names_mean_the_same_filter() {
        for (alias, name) in ALIASES {
            assert_eq!(find(alias).unwrap().name, name);
            assert_eq!(FilterSpec::parse(alias).unwrap(), FilterSpec::parse(name).unwrap());
            let json = serde_json::json!({ "type": alias });
            assert_eq!(FilterSpec::from_json(json).unwrap().name(), name);
            let schema = serde_json::to_string(&schemars::schema_for!(FilterSpec)).unwrap();
            assert!(schema.contains(&format!("\"{alias}\"")), "{alias}");
        }
    }

    #[test]
    fn the_schema_names_every_filter_and_every_range() {
        let schema = serde_json::to_string(&schemars::schema_for!(FilterSpec)).unwrap();
        for info in filters() {
            assert!(schema.contains(&format!("\"{}\"", info.name)), "{}", info.name);
            for p in info.parameters {
                assert!(schema.contains(&format!("\"{}\"", p.name)), "{}.{}", info.name, p.name);
            }
        }
        assert!(schema.contains("\"minimum\"") && schema.contains("\"maximum\""));
    }
}
