//! Reading a file into values that know where they stand.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, options};
use serde_json::{Map, Number, Value};

use crate::error::Problem;

/// Largest file, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;
/// How many times larger than written a document may become by YAML aliases.
const MAX_EXPANSION: usize = 10;

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub place: Place,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(String, Place, Node)>),
}

impl Node {
    /// The value alone.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(k, _, v)| (k.clone(), v.value())).collect::<Map<_, _>>())
            }
        }
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|(_, _, v)| v.count()).sum(),
        }
    }
}

/// What keeps a file from being read.
#[derive(Debug, PartialEq)]
pub(super) struct Unreadable {
    pub place: Place,
    pub message: String,
}

fn bad<T>(place: Place, message: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable { place, message: message.into() })
}

impl Unreadable {
    pub fn problem(self, file: &str) -> Problem {
        let Place { line, column } = self.place;
        let place = if line == 0 { file.to_owned() } else { format!("{file}:{line}:{column}") };
        Problem { place, path: String::new(), message: self.message }
    }
}

/// How a file is written, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Toml,
    Json,
}

/// Ends of names of configuration files.
pub(super) const EXTENSIONS: [(&str, Format); 4] =
    [("yaml", Format::Yaml), ("yml", Format::Yaml), ("toml", Format::Toml), ("json", Format::Json)];

/// Reads a document. An empty one is none.
pub(super) fn parse(bytes: &[u8], format: Format) -> Result<Option<Node>, Unreadable> {
    let text = std::str::from_utf8(bytes).or_else(|e| {
        let before = &bytes[..e.valid_up_to()];
        bad(place_of(&String::from_utf8_lossy(before), before.len()), "is not UTF-8")
    })?;
    match format {
        Format::Yaml => yaml(text),
        Format::Toml => toml(text).map(Some),
        Format::Json => json(text),
    }
}

/// The value of a YAML document, null for an empty one; what is wrong with it, and where, otherwise.
pub(crate) fn yaml_value(text: &str) -> Result<Value, String> {
    let node = yaml(text)
        .map_err(|Unreadable { place, message }| format!("line {}, column {}: {message}", place.line, place.column))?;
    Ok(node.map_or(Value::Null, |node| node.value()))
}

fn place_of(text: &str, byte: usize) -> Place {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Place { line: 1 + before.matches('\n').count(), column: 1 + before[line_start..].chars().count() }
}

/// JSON is read by the strict parser. Positions come from the YAML one, which reads almost all JSON; where it does not
/// (surrogate pairs), they are those of the file.
fn json(text: &str) -> Result<Option<Node>, Unreadable> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(text).or_else(|e| {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        bad(Place { line: e.line(), column: e.column() }, message)
    })?;
    match yaml(text) {
        Ok(Some(node)) if node.value() == value => Ok(Some(node)),
        // Said of a key that stands twice, which the strict parser lets pass.
        Err(problem) if problem.message.contains("twice") => Err(problem),
        _ => Ok(Some(placed(value, Place { line: 1, column: 1 }))),
    }
}

/// Gives every part the same place.
pub(super) fn placed(value: Value, place: Place) -> Node {
    let kind = match value {
        Value::Array(items) => Kind::List(items.into_iter().map(|v| placed(v, place)).collect()),
        Value::Object(map) => Kind::Map(map.into_iter().map(|(k, v)| (k, place, placed(v, place))).collect()),
        scalar => Kind::Scalar(scalar),
    };
    Node { place, kind }
}

fn toml(text: &str) -> Result<Node, Unreadable> {
    let table = toml::de::DeTable::parse(text)
        .or_else(|e| bad(e.span().map_or_else(Place::default, |s| place_of(text, s.start)), e.message()))?;
    toml_table(text, Place { line: 1, column: 1 }, table.get_ref(), 0)
}

fn toml_table(text: &str, place: Place, table: &toml::de::DeTable, depth: usize) -> Result<Node, Unreadable> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let at = place_of(text, key.span().start);
        entries.push((
            key.get_ref().to_string(),
            at,
            toml_value(text, place_of(text, value.span().start), value.get_ref(), depth + 1)?,
        ));
    }
    Ok(Node { place, kind: Kind::Map(entries) })
}

fn toml_value(text: &str, place: Place, value: &toml::de::DeValue, depth: usize) -> Result<Node, Unreadable> {
    use toml::de::DeValue;
    if depth > MAX_DEPTH {
        return bad(place, format!("is nested deeper than {MAX_DEPTH}"));
    }
    let value = match value {
        DeValue::String(s) => Value::from(s.as_ref()),
        DeValue::Boolean(b) => Value::from(*b),
        DeValue::Datetime(d) => Value::from(d.to_string()),
        DeValue::Float(f) => float(f.as_str().parse().ok(), place)?,
        DeValue::Integer(i) => {
            let (digits, radix) = (i.as_str(), i.radix());
            let number = i64::from_str_radix(digits, radix).map(Number::from);
            let number = number.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from));
            Value::from(number.or_else(|_| bad(place, "is not a number that fits into 64 bits"))?)
        }
        DeValue::Array(items) => {
            let items = items.iter().map(|v| toml_value(text, place_of(text, v.span().start), v.get_ref(), depth + 1));
            return Ok(Node { place, kind: Kind::List(items.collect::<Result<_, _>>()?) });
        }
        DeValue::Table(table) => return toml_table(text, place, table, depth),
    };
    Ok(Node { place, kind: Kind::Scalar(value) })
}

fn float(number: Option<f64>, place: Place) -> Result<Value, Unreadable> {
    number.and_then(Number::from_f64).map(Value::Number).map_or_else(|| bad(place, "is not a finite number"), Ok)
}

/// Builds a tree of the events of the YAML parser.
struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    /// Nodes that are written out, and nodes that aliases added.
    written: usize,
    added: usize,
}

fn yaml(text: &str) -> Result<Option<Node>, Unreadable> {
    let mut options = options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, anchors: HashMap::new(), written: 0, added: 0 };
    let mut root = None;
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => return Ok(root),
            Event::DocumentStart(..) if root.is_some() => return bad(place(&span), "holds a second document"),
            Event::DocumentStart(..) => {
                let (event, span) = builder.next()?;
                let node = builder.node(event, &span, 0)?;
                root = (node.kind != Kind::Scalar(Value::Null)).then_some(node);
            }
            _ => {}
        }
    }
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Unreadable> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(e)) => bad(Place { line: e.marker().line(), column: e.marker().col() + 1 }, e.info()),
            None => bad(Place::default(), "ends in the middle"),
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Unreadable> {
        let at = place(span);
        if depth > MAX_DEPTH {
            return bad(at, format!("is nested deeper than {MAX_DEPTH}"));
        }
        if event.tag().is_some() {
            return bad(at, "has a tag; tags are not allowed");
        }
        self.written += 1;
        let anchor = event.anchor_id();
        let kind = match event {
            Event::Scalar(text, style, ..) => Kind::Scalar(scalar(&text, style, at)?),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(id) => return self.alias(id, at),
            _ => return bad(at, "is no value"),
        };
        let node = Node { place: at, kind };
        if let Some(id) = anchor {
            self.anchors.insert(id, node.clone());
        }
        Ok(node)
    }

    /// The value stands where its alias does.
    fn alias(&mut self, id: usize, at: Place) -> Result<Node, Unreadable> {
        let Some(node) = self.anchors.get(&id) else { return bad(at, "is an alias of itself") };
        self.added += node.count();
        if self.added > MAX_EXPANSION * self.written {
            return bad(at, format!("aliases make the document more than {MAX_EXPANSION} times larger"));
        }
        Ok(placed(node.value(), at))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Unreadable> {
        let mut entries: Vec<(String, Place, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = place(&span);
            let key = match event {
                Event::MappingEnd => return Ok(Kind::Map(entries)),
                Event::Scalar(text, _, _, None) => text.into_owned(),
                _ => return bad(at, "is not a plain key"),
            };
            if entries.iter().any(|(k, ..)| *k == key) {
                return bad(at, format!("'{key}' stands twice"));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, &span, depth + 1)?;
            entries.push((key, at, node));
        }
    }
}

/// YAML 1.2 core schema, 10.3.2: `yes` and `on` are words.
fn scalar(text: &str, style: ScalarStyle, at: Place) -> Result<Value, Unreadable> {
    if style != ScalarStyle::Plain {
        return Ok(Value::from(text));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let plain = text.strip_prefix('+').unwrap_or(text);
            let based = |prefix, radix| {
                text.strip_prefix(prefix).filter(|d| !d.starts_with(['+', '-'])).map(|d| u64::from_str_radix(d, radix))
            };
            let overflow = || bad(at, "is not a number that fits into 64 bits");
            if let Some(number) = based("0x", 16).or_else(|| based("0o", 8)) {
                number.map(Value::from).or_else(|_| overflow())?
            } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                let number = plain.parse::<i64>().map(Value::from).or_else(|_| plain.parse::<u64>().map(Value::from));
                number.or_else(|_| overflow())?
            } else if matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
                float(None, at)?
            } else if is_float(digits) {
                float(plain.parse().ok(), at)?
            } else {
                Value::from(text)
            }
        }
    })
}

/// `(\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`
fn is_float(text: &str) -> bool {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str, format: Format) -> Value {
        parse(text.as_bytes(), format).unwrap().unwrap().value()
    }

    #[test]
    fn the_three_languages_say_the_same() {
        let want = json!({"a": {"b": 1, "c": [1.5, "x", true]}, "d": -2, "e": "0x"});
        assert_eq!(value("a:\n  b: 1\n  c: [1.5, x, true]\nd: -2\ne: '0x'\n", Format::Yaml), want);
        assert_eq!(value("d = -2\ne = \"0x\"\n[a]\nb = 1\nc = [1.5, 'x', true]\n", Format::Toml), want);
        assert_eq!(
            value("{\"a\": {\"b\": 1, \"c\": [1.5, \"x\", true]},\n\t\"d\": -2, \"e\": \"0x\"}", Format::Json),
            want
        );
        assert_eq!(value(r#"{"a": "\ud83d\ude00"}"#, Format::Json), json!({"a": "\u{1f600}"}));
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        let text = "[yes, on, ~, '', 0x1F, 0o17, 017, +3, 1e3, .5, 5., 1.2.3, -a, 2024-01-01, 18446744073709551615]";
        let want =
            json!(["yes", "on", null, "", 31, 15, 17, 3, 1000.0, 0.5, 5.0, "1.2.3", "-a", "2024-01-01", u64::MAX]);
        assert_eq!(value(text, Format::Yaml), want);
    }

    #[test]
    fn every_value_knows_its_place() {
        for (text, format) in
            [("# c\na:\n  b: 1\n", Format::Yaml), ("# c\na =\\\n", Format::Toml), ("[a]\n\n  b = 1", Format::Toml)]
        {
            let Ok(Some(node)) = parse(text.as_bytes(), format) else { continue };
            let Kind::Map(entries) = &node.kind else { panic!() };
            let Kind::Map(inner) = &entries[0].2.kind else { panic!() };
            assert_eq!(inner[0].1, Place { line: 3, column: 3 }, "{text}");
        }
        let node = parse(b"{\n \"a\": 1}", Format::Json).unwrap().unwrap();
        let Kind::Map(entries) = &node.kind else { panic!() };
        assert_eq!(entries[0].1, Place { line: 2, column: 2 });
    }

    #[test]
    fn what_is_dangerous_or_torn_is_refused_with_its_place() {
        let deep = |open: &str, n: usize| open.repeat(n);
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n";
        let cases: &[(&str, Format, usize, &str)] = &[
            ("a: 1\nb: !!str 2", Format::Yaml, 2, "tag"),
            ("a: 1\na: 2", Format::Yaml, 2, "'a' stands twice"),
            ("a: 1\n---\nb: 1", Format::Yaml, 2, "second document"),
            (bomb, Format::Yaml, 3, "10 times larger"),
            ("a: &a [*a]", Format::Yaml, 1, "alias"),
            ("a: 1\nb: [1,\n", Format::Yaml, 2, "unclosed"),
            (&deep("[", 40), Format::Yaml, 1, ""),
            ("a: .inf", Format::Yaml, 1, "finite"),
            ("a: 99999999999999999999", Format::Yaml, 1, "64 bits"),
            ("? [a]\n: 1", Format::Yaml, 1, "plain key"),
            ("a = 1\na = 2", Format::Toml, 2, "duplicate"),
            ("a = nan", Format::Toml, 1, "finite"),
            (&format!("a = {}", deep("[", 40)), Format::Toml, 1, ""),
            ("{\"a\": 1,\n \"a\": 2}", Format::Json, 2, "twice"),
            ("{\"a\": 1,\n", Format::Json, 2, "EOF"),
            ("{a: 1}", Format::Json, 1, "key must be a string"),
        ];
        for (text, format, line, message) in cases {
            let error = parse(text.as_bytes(), *format).unwrap_err();
            assert!(error.place.line == *line && error.message.contains(message), "{text}: {error:?}");
        }
        assert_eq!(parse(b"a: 1\nb: \xff", Format::Yaml).unwrap_err().place, Place { line: 2, column: 4 });
        assert_eq!(parse(b"# nothing\n", Format::Yaml), Ok(None));
    }
}
