//! The written descriptions of the local API, held against the code: routes, methods, forwarded calls, every code.
//!
//! What is a mere list of the codes stands between two marks in its file and can be written anew:
//! `COUNTERFOIL_DESCRIBE=write cargo test -p counterfoild described`.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use saphyr::{LoadableYamlNode as _, Yaml};

use super::{problem, routes::ROUTES};
use crate::{
    config::Config,
    platform::Platform,
    session::{State, Status},
    trouble::{Code, Trouble, Words},
};

/// Set to `write`, this variable has the lists of codes written instead of compared.
const SWITCH: &str = "COUNTERFOIL_DESCRIBE";

/// The methods that a path of the description may have, as it spells them.
const METHODS: [&str; 6] = ["delete", "get", "head", "patch", "post", "put"];

/// A method and a path.
type Operation = (String, String);

fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).expect(name)
}

/// Compares what stands between the marks of a file with what the code says, or writes it.
#[track_caller]
fn check_list(name: &str, begin: &str, end: &str, expected: &str) {
    let text = text(name);
    let (head, rest) = text.split_once(begin).expect("the mark where the list begins");
    let (list, tail) = rest.split_once(end).expect("the mark where the list ends");
    if std::env::var_os(SWITCH).is_some_and(|value| value == "write") {
        fs::write(file(name), format!("{head}{begin}{expected}{end}{tail}")).expect("a file");
        return;
    }
    assert!(
        list == expected,
        "{name} does not list the codes of trouble.rs; write it anew with\n  \
         {SWITCH}=write cargo test -p counterfoild described"
    );
}

fn words() -> Vec<Words> {
    let mut words: Vec<_> = Code::ALL.iter().map(|code| code.words()).collect();
    words.sort_by_key(|words| words.code);
    words
}

fn description() -> String {
    text("plugin-bridge/local-api.yaml")
}

fn parse(text: &str) -> Yaml<'_> {
    Yaml::load_from_str(text).expect("YAML").swap_remove(0)
}

/// What stands at `path` in a document.
#[track_caller]
fn at<'d, 'i>(document: &'d Yaml<'i>, path: &[&str]) -> &'d Yaml<'i> {
    path.iter().fold(document, |node, key| {
        node.as_mapping_get(key).unwrap_or_else(|| panic!("{key} of {path:?} is missing"))
    })
}

fn keys(node: &Yaml<'_>) -> BTreeSet<String> {
    let mapping = node.as_mapping().expect("a mapping");
    mapping.keys().map(|key| key.as_str().expect("a name").to_owned()).collect()
}

fn strings(node: &Yaml<'_>) -> BTreeSet<String> {
    let list = node.as_sequence().expect("a list");
    list.iter().map(|entry| entry.as_str().expect("a string").to_owned()).collect()
}

fn members(value: &impl serde::Serialize) -> BTreeSet<String> {
    let value = serde_json::to_value(value).expect("JSON");
    value.as_object().expect("an object").keys().cloned().collect()
}

/// Every operation that the description has.
fn described(document: &Yaml<'_>) -> BTreeSet<Operation> {
    let paths = at(document, &["paths"]).as_mapping().expect("a mapping");
    let mut operations = BTreeSet::new();
    for (path, item) in paths {
        let path = path.as_str().expect("a path");
        for method in METHODS.iter().filter(|method| item.as_mapping_get(method).is_some()) {
            operations.insert((method.to_uppercase(), path.to_owned()));
        }
    }
    operations
}

/// Every operation that the daemon has: its own routes, and the calls that it forwards.
fn offered() -> BTreeSet<Operation> {
    let own = ROUTES.iter().flat_map(|(path, methods, _)| {
        methods.split(", ").map(|method| (method.to_owned(), (*path).to_owned()))
    });
    let platforms = ["btcpay-server", "medusa", "wordpress"].map(Platform::named);
    let forwarded = platforms.iter().flat_map(|platform| platform.calls).flat_map(|call| {
        let path = format!("/v1/api/{}", call.path.replace('*', "{uid}"));
        call.methods.iter().map(move |method| ((*method).to_owned(), path.clone()))
    });
    own.chain(forwarded).collect()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let text = description();
    let (described, offered) = (described(&parse(&text)), offered());
    let missing: Vec<_> = offered.difference(&described).collect();
    let invented: Vec<_> = described.difference(&offered).collect();
    assert!(missing.is_empty(), "not in local-api.yaml: {missing:?}");
    assert!(invented.is_empty(), "only in local-api.yaml: {invented:?}");
}

#[test]
fn every_operation_says_what_it_needs_and_how_it_fails() {
    let text = description();
    let document = parse(&text);
    let mut names = BTreeSet::new();
    for (method, path) in described(&document) {
        let item = at(&document, &["paths", &path]);
        let references: BTreeSet<_> = at(item, &["parameters"])
            .as_sequence()
            .expect("a list")
            .iter()
            .filter_map(|parameter| parameter.as_mapping_get("$ref")?.as_str())
            .collect();
        assert!(references.contains("#/components/parameters/Client"), "{path}: no client header");
        let operation = at(item, &[&method.to_lowercase()]);
        let name = at(operation, &["operationId"]).as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name} twice");
        let otherwise = at(operation, &["responses", "default", "$ref"]).as_str().expect("a name");
        let forwarded = path.starts_with("/v1/api/");
        let expected = if forwarded { "Forwarded" } else { "Problem" };
        assert_eq!(otherwise, format!("#/components/responses/{expected}"), "{method} {path}");
    }
}

#[test]
fn the_description_lists_every_code() {
    let mut list = String::from("\n");
    for Words { status, code, message, .. } in words() {
        writeln!(list, "        - {{ const: {code}, x-status: {status}, title: {message:?} }}")
            .expect("text");
    }
    list.push_str("        ");
    let (begin, end) = ("# The codes of trouble.rs begin.", "# The codes of trouble.rs end.");
    check_list("plugin-bridge/local-api.yaml", begin, end, &list);
}

#[test]
fn the_page_for_plugins_explains_every_code() {
    let mut table = String::from("\n| `code` | status | means | next step |\n|---|---|---|---|\n");
    for Words { status, code, message, next_step } in words() {
        writeln!(table, "| `{code}` | {status} | {message} | {next_step} |").expect("text");
    }
    let (begin, end) =
        ("<!-- The codes of trouble.rs begin. -->\n", "\n<!-- The codes of trouble.rs end. -->");
    check_list("plugin-bridge/local-api.md", begin, end, &table);
}

#[test]
fn the_page_for_support_explains_every_code() {
    let mut table = String::from("\n| `code` | means | what to do |\n|---|---|---|\n");
    for Words { code, message, next_step, .. } in words() {
        writeln!(table, "| `{code}` | {message} | {next_step} |").expect("text");
    }
    let (begin, end) =
        ("<!-- The codes of trouble.rs begin. -->\n", "\n<!-- The codes of trouble.rs end. -->");
    check_list("docs/failures.md", begin, end, &table);
}

#[test]
fn the_page_for_plugins_has_every_route() {
    let page = text("plugin-bridge/local-api.md");
    for (path, methods, _) in ROUTES {
        assert!(page.contains(&format!("{methods} {path}")), "{methods} {path}");
    }
}

#[test]
fn answers_have_the_described_members() {
    let text = description();
    let document = parse(&text);
    let config = Config::parse(
        "platform = \"wordpress\"\nissuer = \"https://pay.example\"\n\
         site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"\n",
    )
    .expect("a good file");
    let status = Status::bare(State::Degraded, &config);
    let trouble = Trouble::of(Code::Degraded);
    let problem = problem::Problem::of(&trouble);
    for (schema, members) in [("Status", members(&status)), ("Problem", members(&problem))] {
        let schema = at(&document, &["components", "schemas", schema]);
        assert_eq!(keys(at(schema, &["properties"])), members);
        assert_eq!(strings(at(schema, &["required"])), members);
    }
}
