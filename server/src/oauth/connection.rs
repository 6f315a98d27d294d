//! A company's connection to a client: how it stands, and how it ended.

use counterfoil_protocol::UnixTime;

/// How a connection stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Approved, and nobody has come for the access.
    Waiting,
    /// Good.
    Connected,
    /// Approved, with no tokens that are good: they ended by reuse, or by their age.
    Interrupted,
    /// Over.
    Ended,
}

/// What is known of a connection's grant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// When a code for it was first redeemed, or an application first acted for its own company.
    pub redeemed_at: Option<UnixTime>,
    /// When it ended.
    pub ended_at: Option<UnixTime>,
    /// Whether a family of tokens stands on it.
    pub has_family: bool,
    /// Whether the client is an application that needs no family: it acts for its own company with its secret.
    pub acts_for_itself: bool,
}

impl Standing {
    /// Judges what is known.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        match facts {
            Facts { ended_at: Some(_), .. } => Self::Ended,
            Facts { redeemed_at: None, .. } => Self::Waiting,
            Facts { has_family: false, acts_for_itself: false, .. } => Self::Interrupted,
            _ => Self::Connected,
        }
    }

    /// In a word or two.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Waiting => "Not finished",
            Self::Connected => "Connected",
            Self::Interrupted => "Interrupted",
            Self::Ended => "Ended",
        }
    }

    /// What that means, and what there is to do.
    #[must_use]
    pub fn meaning(self, is_store: bool) -> &'static str {
        match (self, is_store) {
            (Self::Waiting, true) => {
                "Somebody approved it, but the store has not come for its access. Press Connect in the store once more."
            }
            (Self::Waiting, false) => {
                "Somebody approved it, but the application has not come for its access. Start the connection there once more."
            }
            (Self::Connected, _) => "It works.",
            (Self::Interrupted, true) => {
                "Its access was ended as a precaution. The store asks for it anew by itself; if this stays, press Connect in the store."
            }
            (Self::Interrupted, false) => {
                "Its access has run out, or was ended as a precaution. Start the connection in the application once more."
            }
            (Self::Ended, true) => {
                "The store has no access. Press Connect in the store to connect it again."
            }
            (Self::Ended, false) => {
                "The application has no access. Start the connection there to connect it again."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_stands() {
        let (waiting, then) = (Facts::default(), Some(UnixTime(1)));
        let redeemed = Facts { redeemed_at: then, ..waiting };
        let working = Facts { has_family: true, ..redeemed };
        for (facts, expected) in [
            (waiting, Standing::Waiting),
            (redeemed, Standing::Interrupted),
            (working, Standing::Connected),
            (Facts { acts_for_itself: true, ..redeemed }, Standing::Connected),
            (Facts { ended_at: then, ..waiting }, Standing::Ended),
            (Facts { ended_at: then, ..working }, Standing::Ended),
        ] {
            assert_eq!(Standing::of(&facts), expected, "{facts:?}");
        }
    }
}
