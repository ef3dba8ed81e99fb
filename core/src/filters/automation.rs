//! [`Automated`]: a filter of which some parameters follow curves.

use serde_json::Value;

use super::assets::AssetLoader;
use super::driven::Driven;
use super::registry;
use super::{Curve, Filter, FilterSpec};
use crate::error::{Error, Result};

/// A filter with curves for some of its live parameters. In recipes it looks like the filter alone, with a list of points
/// or an object in place of a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Automated {
    /// The filter with the values at the start.
    filter: Box<FilterSpec>,
    /// Index and name of the parameter.
    curves: Vec<(usize, &'static str, Curve)>,
}

impl Automated {
    /// The filter with the values at the start.
    pub fn filter(&self) -> &FilterSpec {
        &self.filter
    }

    /// Parameters with their curves.
    pub fn curves(&self) -> impl Iterator<Item = (&'static str, &Curve)> {
        self.curves.iter().map(|(_, name, curve)| (*name, curve))
    }

    /// The curves are there already, in place of numbers; the rest of `filter` is as given.
    pub(super) fn new(filter: FilterSpec) -> Self {
        Self { filter: Box::new(filter), curves: Vec::new() }
    }

    /// Lets a parameter follow `curve`, in place of the number or curve it had.
    pub(super) fn follow(&mut self, name: &str, curve: Curve) -> Result<()> {
        let info = registry::info(self.filter.name())?;
        let index = info.parameter_index(name)?;
        let param = &info.parameters[index];
        if !param.live {
            let live: Vec<_> = info.parameters.iter().filter(|p| p.live).map(|p| p.name).collect();
            let could = if live.is_empty() { "no parameter".to_owned() } else { live.join(", ") };
            return Err(Error::InvalidValue {
                name: format!("{}.{name}", info.name),
                value: "a curve".into(),
                allowed: format!("one value for the whole stream; of {} can follow a curve: {could}", info.name),
            });
        }
        self.filter.set_number(index, curve.first());
        self.curves.retain(|(i, ..)| *i != index);
        self.curves.push((index, param.name, curve));
        self.curves.sort_by_key(|(i, ..)| *i);
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<()> {
        let info = registry::info(self.filter.name())?;
        for (index, name, curve) in &self.curves {
            curve.check(&format!("{}.{name}", info.name), &info.parameters[*index])?;
        }
        self.filter.validate()
    }

    pub(super) fn load_assets(&mut self, loader: &mut dyn AssetLoader) -> Result<()> {
        self.filter.load_assets(loader)
    }

    pub(super) fn build(&self) -> Result<Driven> {
        let mut driven = Driven::new(self.filter.build()?);
        for (index, _, curve) in &self.curves {
            driven.follow(*index, curve.clone());
        }
        Ok(driven)
    }

    pub(super) fn boxed(&self) -> Result<Box<dyn Filter>> {
        Ok(Box::new(self.build()?))
    }

    /// The JSON object of the filter, with the curves in their places.
    pub(super) fn to_json(&self) -> Value {
        let mut value = self.filter.to_json();
        for (_, name, curve) in &self.curves {
            value[*name] = serde_json::to_value(curve).unwrap_or_default();
        }
        value
    }
}

impl FilterSpec {
    /// Lets the parameter `name` follow `curve`, in place of the number or curve it had.
    ///
    /// # Errors
    /// [`Error::UnknownName`]; [`Error::InvalidValue`] for a parameter that cannot change while the filter runs, naming
    /// those that can; [`Error::OutOfRange`] for points that are not allowed.
    pub fn with_curve(self, name: &str, curve: Curve) -> Result<Self> {
        let mut automated = match self {
            Self::Automated(automated) => automated,
            plain => Automated::new(plain),
        };
        automated.follow(name, curve)?;
        automated.validate()?;
        Ok(Self::Automated(automated))
    }
}
