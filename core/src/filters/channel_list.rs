//! Lists of channel numbers as parameters.

use super::params::{ParamKind, ParamValue};
use crate::audio::Spec;
use crate::error::{Error, Result};

/// Channel numbers, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ChannelList(pub Vec<u32>);

/// Most channels of a list, and highest number.
const MAX_CHANNELS: u32 = 64;

impl ParamValue for ChannelList {
    const KIND: ParamKind = ParamKind::List;

    fn check_parts(&self, name: &str) -> Result<()> {
        Error::check_range(name, self.0.len() as f64, 0.0, f64::from(MAX_CHANNELS), "channels")?;
        for (n, channel) in self.0.iter().enumerate() {
            Error::check_range(&format!("{name}[{n}]"), f64::from(*channel), 1.0, f64::from(MAX_CHANNELS), "")?;
        }
        Ok(())
    }
}

impl ChannelList {
    /// The indices from 0 of channels that `spec` must have.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first that it has not.
    pub fn indices(&self, name: &str, spec: Spec) -> Result<Vec<usize>> {
        self.0.iter().map(|channel| index(name, *channel, spec)).collect()
    }
}

/// The index from 0 of a channel that `spec` must have.
pub(super) fn index(name: &str, channel: u32, spec: Spec) -> Result<usize> {
    Error::check_range(name, f64::from(channel), 1.0, spec.channels() as f64, "")?;
    Ok(channel as usize - 1)
}

/// Refuses what is not stereo. `what` names the filter.
pub(super) fn check_stereo(what: &'static str, spec: Spec) -> Result<()> {
    if spec.channels() == 2 {
        return Ok(());
    }
    let hint = Some("put channel_mix:to=stereo before it".into());
    Err(Error::Unsupported { what, value: spec.layout.name(), hint })
}
