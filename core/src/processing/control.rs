//! Progress out, cancellation in.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::cancel::CancelToken;

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Decoding, filtering and measuring the input; all that there is in a job without outputs.
    Analyse,
    /// Finding the gain that meets the target.
    Solve,
    /// Limiting and encoding.
    Encode,
    /// Decoding and measuring what was written.
    Verify,
    /// Moving the outputs to their names.
    Publish,
}

impl Stage {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Analyse => "analyse",
            Self::Solve => "solve",
            Self::Encode => "encode",
            Self::Verify => "verify",
            Self::Publish => "publish",
        }
    }
}

/// State of a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Share of the whole job that is done, 0 to 1; never falls. Without a known duration: 0 until the end of a stage.
    pub fraction: f64,
    /// Seconds of audio handled per second of wall time in this stage.
    pub speed: f64,
    /// Estimated seconds until the end, when the duration is known.
    pub eta_s: Option<f64>,
}

/// Called with the progress of a job, at most about 20 times a second, from a thread of the job.
pub type ProgressFn = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Borders of a job with its caller.
#[derive(Clone, Default)]
pub struct Control {
    /// Cancels the job.
    pub cancel: CancelToken,
    /// Hears about progress.
    pub progress: Option<ProgressFn>,
    /// On whose behalf the job runs: counts for the share of a tenant, and is told to the policy.
    pub tenant: Option<Arc<str>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("cancel", &self.cancel)
            .field("progress", &self.progress.is_some())
            .field("tenant", &self.tenant)
            .finish()
    }
}
