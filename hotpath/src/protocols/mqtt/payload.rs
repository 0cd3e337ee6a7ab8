//! What of a payload is told: MQTT says nothing of what it means.
//!
//! - A number as text is a number: always a float, for the next one may have a fraction.
//! - `true` and `false` are a bit.
//! - JSON is told member by member, each by its path.
//! - Other text is told where it is a word, that is short and without digits: states are. Times,
//!   identifiers and logs hardly ever come twice; they would only fill the dictionary of texts.
//! - All else is not told. The length of the message is.

use std::borrow::Cow;
use std::fmt::Write;

use json_event_parser::{JsonEvent, SliceJsonParser};

use crate::words::ValueKind;

/// The longest text that is told.
const MAX_WORD: usize = 64;
/// The longest text that is a number.
const MAX_NUMBER: usize = 32;
/// Values of one payload that are told.
const MAX_LEAVES: usize = 64;
/// Levels of JSON that are told.
const MAX_DEPTH: usize = 4;
/// Levels of JSON beyond which nothing of it is.
const MAX_NESTING: usize = 64;
/// Bytes of a path within JSON.
const MAX_PATH: usize = 128;

/// A value that a payload holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its path within JSON; none if it is all of the payload.
    pub(super) path: Option<String>,
    pub(super) kind: ValueKind,
    pub(super) raw: u64,
    pub(super) text: Option<String>,
}

impl Leaf {
    fn number(number: f64) -> Self {
        Self { path: None, kind: ValueKind::Float, raw: number.to_bits(), text: None }
    }

    fn bit(bit: bool) -> Self {
        Self { path: None, kind: ValueKind::Bit, raw: u64::from(bit), text: None }
    }

    fn word(text: &str) -> Option<Self> {
        let is_word = (1..=MAX_WORD).contains(&text.len())
            && !text.chars().any(|one| one.is_control() || one.is_ascii_digit());
        let text = Some(text.to_owned());
        is_word.then_some(Self { path: None, kind: ValueKind::Text, raw: 0, text })
    }
}

/// Appends the values of a payload, at most [`MAX_LEAVES`].
pub(super) fn read(payload: &[u8], leaves: &mut Vec<Leaf>) {
    let Ok(text) = std::str::from_utf8(payload) else { return };
    let text = text.trim_ascii();
    if text.starts_with(['{', '[']) {
        // A text that only begins like JSON is none, and no word either.
        let before = leaves.len();
        if members(text, leaves).is_none() {
            leaves.truncate(before);
        }
        return;
    }
    let leaf = match text {
        "true" => Some(Leaf::bit(true)),
        "false" => Some(Leaf::bit(false)),
        _ => number(text).map(Leaf::number).or_else(|| Leaf::word(text.trim_matches('"'))),
    };
    leaves.extend(leaf);
}

/// A decimal number. What Rust takes for one beyond that ("inf", "nan") is a word.
fn number(text: &str) -> Option<f64> {
    let is_numeral = text.len() <= MAX_NUMBER
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number = if is_numeral { text.parse().ok() } else { None };
    number.filter(|number: &f64| number.is_finite())
}

/// Where in an open object or array the parser is.
#[derive(Debug)]
enum Place<'a> {
    Member(Cow<'a, str>),
    Element(usize),
}

/// Appends what stands in JSON, in its order; `None` if it breaks off or is wrong.
fn members(text: &str, leaves: &mut Vec<Leaf>) -> Option<()> {
    let mut parser = SliceJsonParser::new(text.as_bytes());
    let mut places: Vec<Place<'_>> = Vec::new();
    loop {
        if places.len() > MAX_NESTING {
            return None;
        }
        let leaf = match parser.parse_next().ok()? {
            JsonEvent::Eof => return Some(()),
            JsonEvent::StartObject => {
                places.push(Place::Member(Cow::Borrowed("")));
                continue;
            }
            JsonEvent::StartArray => {
                places.push(Place::Element(0));
                continue;
            }
            JsonEvent::ObjectKey(name) => {
                *places.last_mut()? = Place::Member(name);
                continue;
            }
            JsonEvent::EndObject | JsonEvent::EndArray => {
                places.pop();
                None
            }
            JsonEvent::Null => None,
            JsonEvent::Boolean(bit) => Some(Leaf::bit(bit)),
            JsonEvent::Number(text) => number(&text).map(Leaf::number),
            JsonEvent::String(text) => {
                number(&text).map(Leaf::number).or_else(|| Leaf::word(&text))
            }
        };
        if let Some(leaf) = leaf.filter(|_| leaves.len() < MAX_LEAVES) {
            leaves.extend(path(&places).map(|path| Leaf { path: Some(path), ..leaf }));
        }
        if let Some(Place::Element(place)) = places.last_mut() {
            *place += 1;
        }
    }
}

/// The names on the way to a value, if they are told.
fn path(places: &[Place<'_>]) -> Option<String> {
    let mut path = String::new();
    for place in places {
        if !path.is_empty() {
            path.push('.');
        }
        match place {
            // Names that begin with a digit are data (times, identifiers).
            Place::Member(name) if name.starts_with(|one: char| one.is_ascii_digit()) => {
                return None;
            }
            Place::Member(name) => path.push_str(name),
            Place::Element(place) => write!(path, "{place}").ok()?,
        }
        if path.len() > MAX_PATH {
            return None;
        }
    }
    (places.len() <= MAX_DEPTH).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{Leaf, MAX_LEAVES, read};
    use crate::words::ValueKind::{Bit, Float, Text};

    fn of(payload: &[u8]) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        read(payload, &mut leaves);
        leaves
    }

    fn told(payload: &str) -> Vec<(String, crate::words::ValueKind, String)> {
        let leaves = of(payload.as_bytes()).into_iter();
        let spelled = leaves.map(|leaf| {
            let value = match leaf.kind {
                Float => f64::from_bits(leaf.raw).to_string(),
                Bit => leaf.raw.to_string(),
                _ => leaf.text.unwrap_or_default(),
            };
            (leaf.path.unwrap_or_default(), leaf.kind, value)
        });
        spelled.collect()
    }

    #[test]
    fn numbers_bits_and_words() {
        for (payload, kind, value) in [
            ("21", Float, "21"),
            (" -2.5e3\n", Float, "-2500"),
            ("007", Float, "7"),
            ("true", Bit, "1"),
            ("false", Bit, "0"),
            ("ON", Text, "ON"),
            ("\"closed\"", Text, "closed"),
            ("zu weit geöffnet", Text, "zu weit geöffnet"),
            ("inf", Text, "inf"),
            ("NaN", Text, "NaN"),
        ] {
            assert_eq!(told(payload), [(String::new(), kind, value.to_owned())], "{payload:?}");
        }
    }

    #[test]
    fn what_is_not_told() {
        let long = "a".repeat(65);
        let digits = "1".repeat(33);
        for payload in [
            "",
            " ",
            "2020-06-12 10:11",
            "v1",
            "1e999",
            "a\u{1}b",
            "{\"a\":",
            "{1}",
            &long,
            &digits,
        ] {
            assert_eq!(told(payload), [], "{payload:?}");
        }
        assert_eq!(of(&[0xFF, 0x31]), []);
    }

    #[test]
    fn json_by_its_paths() {
        let payload = r#"{"t":21.5,"ok":true,"on":"yes","at":"2020-06-12","n":"17","1591":3,
            "x":{"y":[1,null,{"z":2}]},"deep":{"a":{"b":{"c":{"d":1}}}}}"#;
        let leaf = |path: &str, kind, value: &str| (path.to_owned(), kind, value.to_owned());
        assert_eq!(
            told(payload),
            [
                leaf("t", Float, "21.5"),
                leaf("ok", Bit, "1"),
                leaf("on", Text, "yes"),
                leaf("n", Float, "17"),
                leaf("x.y.0", Float, "1"),
                leaf("x.y.2.z", Float, "2"),
            ]
        );
        assert_eq!(told("[1.5]"), [leaf("0", Float, "1.5")]);
        assert_eq!(told(r#"{"a":1,"b":}"#), [], "what is wrong is not told in part");
        assert_eq!(told(r#"{"a":1} 2"#), []);
    }

    #[test]
    fn json_is_bounded() {
        let many = format!("[{}]", vec!["[1,2,3]"; 500].join(","));
        assert_eq!(of(many.as_bytes()).len(), MAX_LEAVES);
        assert_eq!(of("[".repeat(8000).as_bytes()), []);
        let name = "n".repeat(200);
        assert_eq!(told(&format!("{{\"{name}\":1}}")), []);
    }
}
