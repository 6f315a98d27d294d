use serde_json::json;

use super::*;
use crate::history::Kind;

/// Stands for every secret.
const CANARY: &str = "canary-5f1d";

/// What must come through.
const HONEST: &str = "honest-8a2c";

fn detail(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn gathered() -> Gathered {
    Gathered {
        made_at: UnixTime(1_800_000_000),
        silence: None,
        status: Some(json!({
            "state": "connected",
            "summary": HONEST,
            "access_token": CANARY,
            "token": { "issued_at": 1, "access": CANARY, "refresh": CANARY },
            "pending": { "since": 2, "state": CANARY, "verifier": CANARY, "bind": CANARY },
            "redirect_uri": format!("https://shop.example/cb?secret={CANARY}"),
            "registration_id": CANARY,
            "client_id": CANARY,
            "grant_id": CANARY,
            "company": { "id": HONEST, "name": CANARY },
            "scopes": ["company:read", { "hidden": CANARY }],
            "renewals": [{ "at": 1, "code": null, "token": CANARY }],
            "webhook": {
                "state": "active",
                "secret": CANARY,
                "url": format!("https://shop.example/hook?k={CANARY}"),
                "last_error": { "code": HONEST, "message": CANARY },
            },
            "platform": { "hidden": CANARY },
            "issuer": [CANARY],
            "daemon": { "pid": 7, "environment": [CANARY], "guests": { "users": [33], "bearer": CANARY } },
        })),
        doctor: [("daemon", Level::Problem, HONEST), ("config", Level::Ok, HONEST)]
            .into_iter()
            .chain([("config", Level::Problem, CANARY), ("reload", Level::Problem, CANARY)])
            .map(|(check, level, says)| Finding {
                check,
                level,
                says: says.to_owned(),
                next_step: None,
            })
            .collect(),
        history: vec![Record {
            at: UnixTime(5),
            kind: Kind::Called,
            code: Some(format!("code={CANARY}")),
            count: 1,
            summary: CANARY.to_owned(),
            detail: detail(
                &json!({ "client": HONEST, "query": CANARY, "path": { "raw": CANARY } }),
            ),
        }],
        metrics: Some(format!("counterfoild_state 1\n{CANARY} 1\n# {CANARY}\n")),
        config: Some(format!(
            "platform = \"{HONEST}\"\nproxy = \"http://u:{CANARY}@proxy\"\n\
             webhook_url = \"https://shop.example/hook?k={CANARY}\"\n\
             redirect_uri = \"https://shop.example/cb?k={CANARY}\"\n\"{CANARY}\" = 1\n\
             [local]\ntcp_token_file = \"/{CANARY}\"\nallow_users = [\"{HONEST}\"]\n\
             [key]\npin_file = \"/{CANARY}\"\nstore = \"file\"\n[mail]\npassword = \"{CANARY}\"\n"
        )),
    }
}

#[test]
fn no_secret_passes_wherever_it_is_planted() {
    let bundle = make(&gathered()).to_string();
    assert!(!bundle.contains(CANARY), "{bundle}");
    assert_eq!(bundle.matches(HONEST).count(), 8, "{bundle}");
}

#[test]
fn of_the_address_for_notifications_it_is_told_that_it_is_set() {
    let told = config("webhook_url = \"https://shop.example/hook\"\nmystery = 1");
    assert_eq!(told["other_settings"], json!(["(unknown)", "webhook_url"]));
}

#[test]
fn a_store_file_that_cannot_be_understood_is_not_told() {
    let text = format!("platform = \"{CANARY}\nproxy = {CANARY}");
    assert_eq!(config(&text), json!({ "understood": false }));
}

#[test]
fn settings_that_are_not_told_are_named() {
    let told = config(gathered().config.as_deref().expect("a file"));
    let others = told.get("other_settings").and_then(Value::as_array).expect("a list");
    let mut others: Vec<_> = others.iter().filter_map(Value::as_str).collect();
    others.sort_unstable();
    let expected = [
        "(unknown)",
        "(unknown)",
        "key.pin_file",
        "local.tcp_token_file",
        "proxy",
        "redirect_uri",
        "webhook_url",
    ];
    assert_eq!(others, expected);
}

#[test]
fn only_what_is_listed_and_plain_is_picked() {
    let value = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [{ "f": 4, "g": 5 }, 6], "h": null });
    for (paths, expected) in [
        (&[][..], json!({})),
        (&["a"], json!({ "a": 1 })),
        (&["b"], json!({})),
        (&["b.c"], json!({ "b": { "c": 2 } })),
        (&["e"], json!({})),
        (&["e.*"], json!({ "e": [6] })),
        (&["e.*.f"], json!({ "e": [{ "f": 4 }] })),
        (&["h", "nothing"], json!({ "h": null })),
    ] {
        assert_eq!(pick(&value, paths), expected, "{paths:?}");
    }
}
