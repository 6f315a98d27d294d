//! Lists in parts. A part is named by the last thing of the one before it, so what is added meanwhile neither repeats
//! nor hides anything. A cursor is an id that its reader has seen already: it tells nothing, and another's opens nothing.

use axum::http::request::Parts;

use crate::{
    http::{error::Refusal, extract::Parameters},
    store::{self, Listed},
};

/// Things in a part unless the request says otherwise, and the most of them.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

/// The longest cursor.
const MAX_CURSOR: usize = 200;

/// The part of a list that a request asks for: `limit` and `cursor` of its query.
pub(super) struct Page {
    limit: u32,
    cursor: Option<String>,
}

impl Page {
    /// Reads the query.
    pub(super) fn of(parts: &Parts) -> Result<Self, Refusal> {
        let query = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
        let limit = limit(query.get("limit")).ok_or_else(|| {
            Refusal::invalid_request("limit must be a whole number, 1 or more.").of_field("limit")
        })?;
        let cursor = query.owned("cursor");
        if cursor.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR) {
            return Err(unknown_cursor());
        }
        Ok(Self { limit, cursor })
    }

    /// What the store is asked: one more than is given, to know whether there are more.
    pub(super) fn wanted(&self) -> store::Page {
        store::Page { after: self.cursor.clone(), limit: self.limit + 1 }
    }

    /// The things to give, and the cursor of the next part, if there is one.
    pub(super) fn cut<T>(
        &self,
        listed: Listed<T>,
        id: impl FnOnce(&T) -> &str,
    ) -> Result<(Vec<T>, Option<String>), Refusal> {
        let mut things = listed.ok_or_else(unknown_cursor)?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = things.len() > limit;
        things.truncate(limit);
        let next = things.last().filter(|_| more).map(|last| id(last).to_owned());
        Ok((things, next))
    }
}

fn unknown_cursor() -> Refusal {
    Refusal::bad_request(
        "invalid_cursor",
        "cursor must be the nextCursor of an answer to this list; begin again without it.",
    )
    .of_field("cursor")
}

/// More than the most is as much as there can be; what is no number is refused.
fn limit(text: Option<&str>) -> Option<u32> {
    let Some(text) = text else { return Some(DEFAULT_LIMIT) };
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && text.bytes().any(|b| b != b'0');
    plain.then(|| text.parse().unwrap_or(MAX_LIMIT).min(MAX_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (text, expected) in [
            (None, Some(50)),
            (Some("1"), Some(1)),
            (Some("100"), Some(100)),
            (Some("999999999"), Some(100)),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("+1"), None),
            (Some("1.5"), None),
            (Some("ten"), None),
            (Some("007"), Some(7)),
            (Some("99999999999999999999"), Some(100)),
            (Some("000"), None),
        ] {
            assert_eq!(limit(text), expected, "{text:?}");
        }
    }

    #[test]
    fn parts() {
        let page = Page { limit: 2, cursor: None };
        let cut = |things: &[&str]| {
            let things = things.iter().map(|thing| (*thing).to_owned()).collect();
            let (things, next) = page.cut(Some(things), |thing: &String| thing).expect("a part");
            (things.len(), next)
        };
        assert_eq!(cut(&[]), (0, None));
        assert_eq!(cut(&["a", "b"]), (2, None));
        assert_eq!(cut(&["a", "b", "c"]), (2, Some("b".to_owned())));
        assert_eq!(
            page.cut(None::<Vec<String>>, |thing| thing).expect_err("none").code,
            "invalid_cursor"
        );
    }
}
