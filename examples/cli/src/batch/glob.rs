//! File name patterns: `*` and `?` within a name, `**` across folders.

/// True when `text` (with `/` between folders) matches `pattern`. Case counts.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // reached[i]: the pattern so far matches the first i characters. One row per pattern item keeps it linear in both.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut p = 0;
    while p < pattern.len() {
        let mut next = vec![false; text.len() + 1];
        match pattern[p] {
            '*' => {
                let any = pattern.get(p + 1) == Some(&'*');
                // `**/` also matches no folder at all.
                let folders = any && pattern.get(p + 2) == Some(&'/');
                let mut open = false;
                for i in 0..=text.len() {
                    open |= reached[i];
                    if folders {
                        next[i] = reached[i] || (open && i > 0 && text[i - 1] == '/');
                    } else {
                        next[i] = open;
                        open &= any || text.get(i) != Some(&'/');
                    }
                }
                p += if folders {
                    3
                } else if any {
                    2
                } else {
                    1
                };
            }
            c => {
                for i in 0..text.len() {
                    next[i + 1] = reached[i] && (c == text[i] || (c == '?' && text[i] != '/'));
                }
                p += 1;
            }
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, want) in [
            ("*.wav", "a.wav", true),
            ("*.wav", "a/b.wav", false),
            ("**/*.wav", "a.wav", true),
            ("**/*.wav", "x/y/a.wav", true),
            ("x/**/a.wav", "x/a.wav", true),
            ("x/**/a.wav", "xy/a.wav", false),
            ("x/**", "x/y/z", true),
            ("?.wav", "ab.wav", false),
            ("??.wav", "\u{e4}b.wav", true),
            ("a?b", "a/b", false),
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_long() {
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
    }
}
