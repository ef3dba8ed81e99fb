//! Jobs as people and programs see them.

use pure_sound::jobs::{Job, JobSpec, JobState};

use crate::console;

/// Heads of [`row`].
pub fn heads() -> Vec<String> {
    ["job", "state", "done", "queue", "prio", "tries", "output"].map(str::to_owned).to_vec()
}

/// Columns of [`row`] that are numbers.
pub const NUMBERS: &[usize] = &[2, 4, 5];

/// A job as a line of a table.
pub fn row(job: &Job) -> Vec<String> {
    let status = &job.status;
    let mut what = console::clean(&subject(&job.spec));
    if let Some(error) = status.error.as_ref().filter(|_| status.state != JobState::Succeeded) {
        what = format!("{what}  ({})", console::clean(&error.message));
    }
    let state = match &status.cancel {
        Some(_) if status.state.is_leased() => "stopping",
        _ => status.state.name(),
    };
    vec![
        job.id.to_string(),
        state.into(),
        format!("{:.0} %", status.progress * 100.0),
        console::clean(&job.spec.queue),
        job.spec.priority.to_string(),
        status.claims.to_string(),
        what,
    ]
}

/// What a job is about, in a few words: its first output, or its kind.
pub fn subject(spec: &JobSpec) -> String {
    let path = &spec.payload["outputs"][0]["path"];
    path.as_str().or_else(|| spec.payload["output"].as_str()).unwrap_or(&spec.kind).to_owned()
}
