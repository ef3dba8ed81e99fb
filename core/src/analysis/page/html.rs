//! Text in HTML.

/// A text that may come from anywhere (names of files, tags) as text or attribute of HTML. What has a meaning there is written out;
/// control characters, and those that turn the direction of what follows, become a sign that something was there.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || turns(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm (Unicode UAX 9): they can make a name look like another one.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table of text cells; the first row is its head. Cells are escaped here.
pub(super) fn table(class: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("<table class=\"{class}\">");
    if !head.is_empty() {
        out.push_str("<thead><tr>");
        head.iter().for_each(|cell| out.push_str(&format!("<th>{}</th>", escape(cell))));
        out.push_str("</tr></thead>");
    }
    out.push_str("<tbody>");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| out.push_str(&format!("<td>{}</td>", escape(cell))));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>\n");
    out
}

/// A section with a heading; `body` is HTML.
pub(super) fn section(heading: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("<section><h2>{}</h2>\n{body}</section>\n", escape(heading)) }
}

/// The page around `body`, which is HTML. Nothing is loaded from anywhere and nothing runs: the policy says so to the browser as well.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style></head>\n\
         <body><main>\n{body}<footer>Pure Sound {version}</footer></main></body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_reaches_the_markup() {
        let hostile = "\"><script>alert('x')</script>&amp;\u{202e}gpj.exe\u{0}\r\n";
        let safe = escape(hostile);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}', '\r', '\n']), "{safe}");
        assert!(
            safe.starts_with("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;\u{fffd}gpj.exe"),
            "{safe}"
        );
        assert_eq!(escape("Grüße, 東京 & Söhne"), "Grüße, 東京 &amp; Söhne");
        let cells = table("facts", &["<b>"], &[vec!["<i>".into()]]);
        assert!(cells.contains("<th>&lt;b&gt;</th>") && cells.contains("<td>&lt;i&gt;</td>"));
        assert!(page("</title><script>", "").contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
    }
}
