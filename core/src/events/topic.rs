//! Names of kinds of events, and patterns over them.

use crate::error::{Error, Result};

/// Longest topic or pattern, in bytes.
const MAX_BYTES: usize = 128;

const ALLOWED: &str = "words of a-z, 0-9, '_' and '-' joined by '.', at most 128 bytes";

/// Checks the name of a topic: `job.progress`.
///
/// # Errors
/// [`Error::InvalidValue`].
pub fn check_topic(topic: &str) -> Result<()> {
    if topic.len() <= MAX_BYTES && topic.split('.').all(is_word) {
        return Ok(());
    }
    Err(Error::InvalidValue { name: "topic".into(), value: shortened(topic), allowed: ALLOWED.into() })
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_BYTES).collect()
}

/// Which topics a subscriber wants: a topic in which `*` stands for any one word, and `**` as the last word for any number
/// of words, none included.
///
/// | pattern | matches | not |
/// |---|---|---|
/// | `job.progress` | `job.progress` | `job.failed` |
/// | `job.*` | `job.progress` | `job`, `job.step.done` |
/// | `*.failed` | `job.failed` | `job.step.failed` |
/// | `job.**` | `job`, `job.progress`, `job.step.done` | `jobs` |
/// | `**` | everything | |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Without the trailing `**`.
    text: String,
    /// It had a trailing `**`.
    open: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`Error::InvalidValue`].
    pub fn new(text: &str) -> Result<Self> {
        let (body, open) = match text {
            "**" => ("", true),
            _ => text.strip_suffix(".**").map_or((text, false), |body| (body, true)),
        };
        let fine = text.len() <= MAX_BYTES && (text == "**" || body.split('.').all(|w| w == "*" || is_word(w)));
        if !fine {
            let allowed = format!("{ALLOWED}; '*' for any word, '**' as the last word for any number of them");
            return Err(Error::InvalidValue { name: "pattern".into(), value: shortened(text), allowed });
        }
        Ok(Self { text: body.to_owned(), open })
    }

    /// True when the pattern covers `topic`.
    pub fn matches(&self, topic: &str) -> bool {
        let mut words = topic.split('.');
        if !self.text.is_empty() {
            for want in self.text.split('.') {
                match words.next() {
                    Some(word) if want == "*" || want == word => {}
                    _ => return false,
                }
            }
        }
        self.open || words.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_documented() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("job.progress", &["job.progress"], &["job.failed", "job", "job.progress.x"]),
            ("job.*", &["job.progress"], &["job", "job.step.done"]),
            ("*.failed", &["job.failed"], &["job.step.failed", "failed"]),
            ("job.**", &["job", "job.progress", "job.step.done"], &["jobs", "jobs.x"]),
            ("*.**", &["job", "job.progress"], &[]),
            ("**", &["job", "job.step.done"], &[]),
        ];
        for (pattern, yes, no) in cases {
            let pattern = Pattern::new(pattern).unwrap();
            assert!(yes.iter().all(|t| pattern.matches(t)), "{pattern:?}");
            assert!(!no.iter().any(|t| pattern.matches(t)), "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_topic_or_pattern_is_refused() {
        for bad in ["", ".", "a.", ".a", "a..b", "A", "a b", "a.*", "ä", &"a".repeat(129)] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
        for bad in ["", "a.**.b", "a*", "***", "a.", "**.a", ".**", "a.***"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }

    /// The definition by words, as slow as it is plain.
    fn model(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            (["**"], _) | ([], []) => true,
            ([p, rest @ ..], [t, others @ ..]) => (p == t || *p == "*") && model(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_equals_the_model(
            mut pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 1..5),
            open in any::<bool>(),
            topic in prop::collection::vec(prop::sample::select(vec!["a", "b"]), 1..6),
        ) {
            if open { pattern.push("**"); }
            let got = Pattern::new(&pattern.join(".")).unwrap().matches(&topic.join("."));
            prop_assert_eq!(got, model(&pattern, &topic));
        }
    }
}
