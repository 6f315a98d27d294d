//! What a browser brought back (RFC 6749 §4.1.2, RFC 9207), read from the raw query.

use counterfoil_protocol::secret::Secret;

/// The longest query looked at, in bytes.
const MAX_LENGTH: usize = 16 * 1_024;

/// A callback's parameters. The callback's own ones, and ones that nobody knows, are left out.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Callback {
    /// `state`.
    pub(super) state: String,
    /// `code`.
    pub(super) code: Option<Secret>,
    /// `error`.
    pub(super) error: Option<String>,
    /// `iss`.
    pub(super) iss: Option<String>,
}

impl Callback {
    /// Reads a query. `None` if `state` is absent, or a parameter that matters is empty or there twice.
    pub(super) fn parse(query: &str) -> Option<Self> {
        if query.len() > MAX_LENGTH {
            return None;
        }
        let (mut state, mut code, mut error, mut iss) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "error" => &mut error,
                "iss" => &mut iss,
                _ => continue,
            };
            if value.is_empty() || slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self { state: state?, code: code.map(Secret::new), error, iss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_read_through_its_own_parameters() {
        let callback = Callback::parse(
            "action=counterfoil_callback&page=1&page=2&code=a%2Bb&state=s&iss=https%3A%2F%2Fpay.example",
        )
        .expect("a callback");
        assert_eq!(callback.state, "s");
        assert_eq!(callback.code, Some(Secret::new("a+b")));
        assert_eq!(callback.iss.as_deref(), Some("https://pay.example"));
        assert_eq!(callback.error, None);
    }

    #[test]
    fn doubled_empty_and_absent_parameters_are_refused() {
        let long = format!("state=s&code={}", "a".repeat(MAX_LENGTH));
        for query in [
            "",
            "code=c&iss=i",
            "state=&code=c",
            "state=s&state=s&code=c",
            "state=s&code=c&code=d",
            "state=s&code=c&iss=i&iss=j",
            "state=s&error=a&error=b",
            "state=s&code=c&%73tate=t",
            "state=s&code=",
            &long,
        ] {
            assert_eq!(Callback::parse(query), None, "{query:.40}");
        }
    }
}
