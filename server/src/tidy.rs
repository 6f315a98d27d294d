//! The architecture as a test: what the tree promises, read from the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a file.
const MAX_LINES: usize = 500;

/// One source file.
struct Source {
    /// Below the workspace: `server/src/oauth/code.rs`.
    path: String,
    text: String,
}

/// A rule: which files it is about, and what none of their lines may have.
struct Ban {
    /// Files whose path starts with one of these.
    within: &'static [&'static str],
    /// But not those.
    except: &'static [&'static str],
    banned: &'static [&'static str],
    why: &'static str,
}

/// The rules: pure functions.
const PURE: &[&str] = &[
    "server/src/oauth/",
    "server/src/audit",
    "server/src/keys/schedule.rs",
    "server/src/people/",
    "protocol/src/",
];

const BANS: [Ban; 7] = [
    Ban {
        within: &["server/src/partner/", "server/src/store/"],
        except: &[],
        banned: &["axum", "hyper", "reqwest"],
        why: "HTTP is the business of http/",
    },
    Ban {
        within: PURE,
        except: &[],
        banned: &[
            "tokio",
            "axum",
            "hyper",
            "rusqlite",
            "reqwest",
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
            "std::process",
            "std::env",
            "std::thread",
            "async fn",
        ],
        why: "the rules are pure functions of values",
    },
    Ban {
        within: PURE,
        except: &[],
        banned: &["Entropy", "SystemRandom", "rand::fill", "SystemTime", "Instant"],
        why: "time and randomness are arguments of the rules",
    },
    Ban {
        within: &["server/src/gateway/"],
        except: &[
            "server/src/gateway/body.rs",
            "server/src/gateway/connect.rs",
            "server/src/gateway/forward.rs",
        ],
        banned: &["tokio", "std::net::Tcp", "async fn", "Entropy", "SystemTime", "Instant"],
        why: "what passes the gateway is judged by pure functions; forward.rs runs them",
    },
    Ban {
        within: &["server/src/"],
        except: &["server/src/store/"],
        banned: &[
            "rusqlite",
            "SELECT ",
            "INSERT INTO ",
            "INSERT OR ",
            "DELETE FROM ",
            " SET ",
            "PRAGMA ",
        ],
        why: "only the store speaks SQL",
    },
    Ban {
        within: &["server/src/", "protocol/src/"],
        except: &["server/src/keys.rs", "server/src/keys/"],
        banned: &["josekit", "openssl"],
        why: "josekit sees the server's own keys alone",
    },
    Ban {
        within: &["server/src/", "protocol/src/"],
        except: &["server/src/clock.rs"],
        banned: &["SystemTime::now", "Instant::now", "Timestamp::now", "thread::sleep"],
        why: "ask the Clock that was passed in",
    },
];

/// Which modules of the crate a folder may name. Everything else is further out.
const LAYERS: &[(&str, &[&str])] = &[
    ("server/src/audit", &["audit", "vault"]),
    ("server/src/gateway/", &["config", "gateway", "outbound"]),
    ("server/src/people/", &["people"]),
    ("server/src/oauth/", &["oauth", "vault"]),
    (
        "server/src/oidc",
        &["clock", "config", "files", "mail", "oidc", "outbound", "people", "vault"],
    ),
    ("server/src/outbound/", &["clock", "config", "outbound"]),
    ("server/src/partner/", &["oauth", "partner", "vault"]),
    ("server/src/store/", &["audit", "oauth", "partner", "people", "store", "webhooks"]),
    ("server/src/webhooks/", &["clock", "partner", "vault", "webhooks"]),
];

/// Files that run the rules beside them, and so may name anything.
const RUNNERS: &[&str] = &["server/src/webhooks/sender.rs"];

/// The sources of `protocol` and `server`, without this file.
fn sources() -> Vec<Source> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let mut waiting: Vec<PathBuf> =
        ["protocol/src", "server/src"].map(|folder| workspace.join(folder)).to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(workspace).expect("below the workspace");
                let path = path.to_str().expect("a plain name").to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    sources.retain(|source| source.path != "server/src/tidy.rs");
    assert!(sources.len() > 50, "the sources are elsewhere");
    sources
}

/// Whether `line` has `word` and not merely a longer word around it.
fn has(line: &str, word: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !(word.starts_with(in_word) && before.is_some_and(in_word))
    })
}

fn breaches(ban: &Ban, source: &Source) -> Vec<String> {
    let begins = |folders: &[&str]| folders.iter().any(|folder| source.path.starts_with(folder));
    if !begins(ban.within) || begins(ban.except) {
        return Vec::new();
    }
    let code = |line: &str| !line.trim_start().starts_with("//");
    let lines = source.text.lines().enumerate().filter(|(_, line)| code(line));
    lines
        .flat_map(|(number, line)| ban.banned.iter().map(move |word| (number, line, word)))
        .filter(|(_, line, word)| has(line, word))
        .map(|(number, _, word)| format!("{}:{}: {word}: {}", source.path, number + 1, ban.why))
        .collect()
}

/// The modules that `text` names after `crate::`, one by one or in braces.
fn modules_named(text: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut named = Vec::new();
    for (at, path) in text.match_indices("crate::") {
        if text[..at].ends_with(is_name) {
            continue;
        }
        let rest = &text[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.extend(rest.split(|c| !is_name(c)).next());
            continue;
        };
        let (mut depth, mut begins) = (1, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                _ if depth == 1 && begins && is_name(c) => {
                    named.extend(group[at..].split(|c| !is_name(c)).next());
                    begins = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

#[test]
fn dependencies_point_one_way() {
    for source in sources() {
        for &(folder, allowed) in LAYERS {
            if source.path.starts_with(folder)
                && !RUNNERS.contains(&source.path.as_str())
                && !source.path.ends_with("tests.rs")
            {
                for module in modules_named(&source.text) {
                    assert!(allowed.contains(&module), "{} names crate::{module}", source.path);
                }
            }
        }
    }
}

#[test]
fn modules_are_found_in_braces() {
    let text =
        "use crate::{\n    clock::{Clock, http},\n    store::Store,\n};\nuse crate::vault::mac;
                fn f() -> crate::keys::Key {}\nuse other_crate::x;";
    assert_eq!(modules_named(text), ["clock", "store", "vault", "keys"]);
}

#[test]
fn nothing_is_where_it_does_not_belong() {
    let sources = sources();
    let found: Vec<String> = BANS
        .iter()
        .flat_map(|ban| sources.iter().flat_map(move |source| breaches(ban, source)))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<_> = sources()
        .iter()
        .map(|source| (source.text.lines().count(), source.path.clone()))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "split by subject: {long:?}");
}

#[test]
fn tests_wait_for_nothing_and_are_never_left_out() {
    for source in sources() {
        for banned in ["#[ignore", "#[should_panic"] {
            assert!(!source.text.contains(banned), "{}: {banned}", source.path);
        }
    }
}

#[test]
fn the_bans_bite() {
    let check = |path: &str, line: &str, expected: usize| {
        let source = Source { path: path.to_owned(), text: line.to_owned() };
        let found: Vec<_> = BANS.iter().flat_map(|ban| breaches(ban, &source)).collect();
        assert_eq!(found.len(), expected, "{path}: {line}: {found:?}");
    };
    check("server/src/oauth/code.rs", "use tokio::sync::Mutex;", 1);
    check("server/src/oauth/code.rs", "// tokio is elsewhere", 0);
    check("protocol/src/proof.rs", "let now = std::time::SystemTime::now();", 2);
    check("server/src/store/clients.rs", "use axum::Json;", 1);
    check("server/src/store/sqlite/clients.rs", "\"SELECT 1\"", 0);
    check("server/src/http/oauth/par.rs", "\"SELECT 1\"", 1);
    check("server/src/http/oauth/par.rs", "\"UPDATE client SET name = ?\"", 1);
    check("server/src/http/oauth/par.rs", "josekit::jwk::Jwk::from_bytes(body)", 1);
    check("server/src/keys.rs", "use josekit::jwk::Jwk;", 0);
    check("server/src/clock.rs", "std::time::Instant::now()", 0);
}
