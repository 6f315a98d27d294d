//! Reads `tests/vectors/*.txt` and compares what each record expects with what happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use counterfoil_protocol::encoding::from_base64url;

/// The keys that every record may have.
const COMMON_KEYS: [&str; 3] = ["name", "expect", "cause"];

/// What became of a vector.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Taken, and as what the record says.
    Accepted,
    /// Taken, but as something else than the record says.
    Otherwise(String),
    /// Refused, for a cause where the file names causes.
    Refused(Option<&'static str>),
}

impl Outcome {
    /// Accepted when `got` is what the record says under `key`.
    pub(crate) fn of_value(record: &Record, key: &str, got: &str) -> Self {
        if record.optional(key) == Some(got) {
            Self::Accepted
        } else {
            Self::Otherwise(format!("{key}: {got}"))
        }
    }
}

/// One vector.
pub(crate) struct Record(BTreeMap<String, Vec<u8>>);

impl Record {
    /// The bytes of a field, if it is there.
    pub(crate) fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// The text of a field, if it is there.
    pub(crate) fn optional(&self, key: &str) -> Option<&str> {
        self.bytes(key).map(|bytes| {
            str::from_utf8(bytes).unwrap_or_else(|_| panic!("{}: {key} is not UTF-8", self.name()))
        })
    }

    /// The text of a field that must be there.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.optional(key).unwrap_or_else(|| panic!("{}: no {key}", self.name()))
    }

    /// A number that must be there.
    pub(crate) fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or_else(|_| panic!("{}: {key} is no number", self.name()))
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, key: &str) -> bool {
        match self.optional(key) {
            Some("yes") => true,
            None | Some("no") => false,
            Some(other) => panic!("{}: {key}: {other}", self.name()),
        }
    }

    fn parse(block: &str) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for line in block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("no key: {line}"));
            let value = value.strip_prefix(' ').unwrap_or(value);
            assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)), "not printable: {line}");
            let (key, bytes) = match key.strip_suffix("_base64url") {
                Some(key) => (key, from_base64url(value).expect("base64url")),
                None => (key, value.as_bytes().to_vec()),
            };
            assert_eq!(fields.insert(key.to_owned(), bytes), None, "twice: {line}");
        }
        (!fields.is_empty()).then_some(Self(fields))
    }

    fn name(&self) -> &str {
        let name = self.0.get("name").unwrap_or_else(|| panic!("no name: {:?}", self.0.keys()));
        str::from_utf8(name).expect("a name in ASCII")
    }

    fn expects(&self, got: &Outcome) -> bool {
        match (self.text("expect"), self.optional("cause"), got) {
            ("accepted" | "admitted", None, Outcome::Accepted) => true,
            ("refused", cause, Outcome::Refused(got)) => cause == *got,
            _ => false,
        }
    }
}

/// Runs every record of a file, then fails with the names of those that came out otherwise. `keys` are all that a
/// record of the file may have besides `name`, `expect` and `cause`.
pub(crate) fn run(file: &str, keys: &[&str], check: impl Fn(&Record) -> Outcome) {
    let text = fs::read_to_string(directory().join(file)).expect("a vector file");
    let records: Vec<_> = text.split("\n\n").filter_map(Record::parse).collect();
    assert!(!records.is_empty(), "{file} has no records");
    let mut names = BTreeSet::new();
    let mut failures = Vec::new();
    for record in &records {
        let name = record.name();
        if !names.insert(name) {
            failures.push(format!("{name}: a second record of this name"));
        }
        for key in record.0.keys().map(String::as_str) {
            if !COMMON_KEYS.contains(&key) && !keys.contains(&key) {
                failures.push(format!("{name}: unknown key {key}"));
            }
        }
        let got = check(record);
        if !record.expects(&got) {
            failures.push(format!("{name}: {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{file}:\n{}", failures.join("\n"));
}

/// Where the vectors are.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors"))
}
