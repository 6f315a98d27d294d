//! The trail of a connection, in words that a merchant understands.

use crate::store::ConnectionEvent;

/// What happened.
pub(super) fn event(event: &ConnectionEvent, is_store: bool) -> String {
    let it = if is_store { "store" } else { "application" };
    let detail = event.detail.as_str();
    match event.event.as_str() {
        "approved" => "The connection was approved.".to_owned(),
        "code_redeemed" => format!("The {it} collected its access."),
        "recovered" => {
            "Recovery: the store had lost its access and got it anew, for a proof by its key."
                .to_owned()
        }
        "key_rotated" => {
            "The store changed its key; the old key vouched for the new one.".to_owned()
        }
        "key_promoted" => {
            "A new key of the store was approved. Whatever the old key opened has ended.".to_owned()
        }
        "new_key_after_reset" => {
            "The store came back with a new key after it had disconnected.".to_owned()
        }
        "reset" => "The store disconnected itself. Its key was forgotten.".to_owned(),
        "adopted" => {
            "The store was ahead of our records, as after a restored backup, and proved it."
                .to_owned()
        }
        "released" => "The registration of the store was removed.".to_owned(),
        "family_ended" => match detail {
            "refresh_reuse" | "code_reuse" => format!(
                "Access was ended as a precaution: one credential was used twice, perhaps by a copy of the {it}."
            ),
            _ => format!("The {it} gave up its access."),
        },
        "grant_ended" => format!("The connection ended: {}", lower(reason(detail, is_store))),
        "payment_moved" => format!("A payment changed: {}.", detail.replace('_', " ")),
        other => {
            let mut text = sentence(other);
            if !detail.is_empty() {
                text.pop();
                text.push_str(": ");
                text.push_str(detail);
            }
            text
        }
    }
}

/// Why a connection ended.
pub(super) fn reason(word: &str, is_store: bool) -> &'static str {
    match word {
        "withdrawn" => "Somebody of the company revoked it.",
        "by_operator" => "The platform ended it.",
        "company_closed" => "The company was closed.",
        "application_deleted" => "The application was deleted.",
        "replaced" => "Another company was chosen.",
        "reset" => "The store disconnected itself.",
        "revoked" if is_store => "The store gave it up.",
        "revoked" => "The application gave it up.",
        "code_reuse" | "refresh_reuse" => "A credential was used twice.",
        _ => "It was ended.",
    }
}

/// Who did it.
pub(super) fn actor(event: &ConnectionEvent, is_store: bool) -> String {
    let kind = event.actor.split(':').next().unwrap_or_default();
    match (kind, &event.email) {
        ("user", Some(email)) => email.clone(),
        ("user", None) => "Somebody who is no longer here".to_owned(),
        ("client", _) if is_store => "The store".to_owned(),
        ("client", _) => "The application".to_owned(),
        ("operator", _) => "The platform's operator".to_owned(),
        _ => "The platform".to_owned(),
    }
}

/// An event that has no words of its own yet: `webhook_secret_rotated` as a sentence.
fn sentence(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(['.']).collect()
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_lowercase).into_iter().flatten();
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::UnixTime;

    use super::*;

    fn record(event: &str, actor: &str, email: Option<&str>, detail: &str) -> ConnectionEvent {
        ConnectionEvent {
            id: 1,
            at: UnixTime(0),
            event: event.to_owned(),
            actor: actor.to_owned(),
            email: email.map(str::to_owned),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn events() {
        for (word, detail, is_store, expected) in [
            ("code_redeemed", "", true, "The store collected its access."),
            ("code_redeemed", "", false, "The application collected its access."),
            (
                "grant_ended",
                "withdrawn",
                true,
                "The connection ended: somebody of the company revoked it.",
            ),
            ("grant_ended", "replaced", true, "The connection ended: another company was chosen."),
            ("family_ended", "revoked", false, "The application gave up its access."),
            ("webhook_secret_rotated", "", true, "Webhook secret rotated."),
            ("something_new", "of a kind", true, "Something new: of a kind"),
        ] {
            let told = event(&record(word, "system", None, detail), is_store);
            assert_eq!(told, expected, "{word} {detail}");
        }
        let copied = event(&record("family_ended", "client:x", None, "refresh_reuse"), true);
        assert!(copied.contains("a copy of the store"), "{copied}");
    }

    #[test]
    fn actors() {
        for (who, email, is_store, expected) in [
            ("user:1", Some("ann@a.example"), true, "ann@a.example"),
            ("user:2", None, true, "Somebody who is no longer here"),
            ("client:x", None, true, "The store"),
            ("client:x", None, false, "The application"),
            ("operator:root", None, true, "The platform's operator"),
            ("system", None, true, "The platform"),
        ] {
            assert_eq!(actor(&record("approved", who, email, ""), is_store), expected);
        }
    }
}
