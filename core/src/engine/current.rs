//! What an engine was built with.

use super::Engine;
use crate::config::Settings;

impl Engine {
    /// The settings that hold: those it was given, or those of the configuration that it follows, now.
    pub fn settings(&self) -> Settings {
        self.values.with(Settings::clone)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_given_holds_over_the_defaults() {
        let given = json!({ "engine": { "threads": 2 }, "limits": { "max_seconds": 10.0 } });
        let engine = Engine::builder().settings_json(&given).unwrap().build().unwrap();
        let mut expected = Settings::default();
        expected.engine.threads = 2;
        expected.limits.max_seconds = 10.0;
        assert_eq!(engine.settings(), expected);
        assert_eq!(Engine::new().unwrap().settings(), Settings::default());
    }
}
