//! Signing in through an external OpenID provider: what its word is worth here.
//!
//! A person is known by (issuer, subject). An address is believed once, to find the account that a subject belongs to,
//! and only as far as nobody could take over an account with it: the provider must vouch for the address, and an account
//! that has something else to sign in with wants to see that too.

use counterfoil_protocol::UnixTime;

/// Seconds by which the provider's clock may be off.
pub const LEEWAY: i64 = 60;

/// What somebody is sent to a provider for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To link the account there with the one of whoever is signed in.
    Link {
        /// The session that asked.
        session: [u8; 32],
    },
    /// To prove once more who they are.
    Confirm {
        /// The session that asked.
        session: [u8; 32],
    },
}

/// What a provider says of somebody, in a token that was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    /// Whom it means.
    pub subject: String,
    /// The address, in lower case.
    pub email: Option<String>,
    /// Whether it vouches for the address.
    pub email_verified: bool,
    /// How it knows: `amr` (RFC 8176) and `acr`.
    pub methods: Vec<String>,
    /// When the person proved there who they are.
    pub authenticated_at: Option<UnixTime>,
}

/// What the operator decided of a provider.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The domains whose addresses are taken; all of them when there are none.
    pub domains: Vec<String>,
    /// Whether somebody unknown gets an account.
    pub create: bool,
    /// The methods that count as a second factor.
    pub second_factor: Vec<String>,
    /// Whether passwords are taken beside the providers.
    pub passwords: bool,
}

/// The account of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    /// Whether somebody was shut out.
    pub disabled: bool,
    /// Whether it has a password.
    pub has_password: bool,
    /// Whether another subject of this issuer is linked with it.
    pub linked_here: bool,
    /// Whether anything is linked with it.
    pub linked: bool,
}

/// What must still be so when a link is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Provided {
    /// Nothing: the person is signed in and asked for it, or has proved the password.
    Nothing,
    /// The account has no password and no other link: the address is all that there is.
    NothingElse,
    /// The account has no other link; its password, if it has one, opens nothing any more.
    NoOtherLink,
}

/// What follows from a subject that nobody here is linked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    /// It is linked with the account of the address.
    Link(Provided),
    /// The same, once the password was given.
    ProvePassword,
    /// It gets an account; with `invited`, because somebody invited the address.
    Make {
        /// Whether an invitation is what allows it.
        invited: bool,
    },
}

/// Why a provider's word is not enough.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It gives no address, or does not vouch for it.
    #[error("It did not confirm your e-mail address. Confirm the address there, then try again.")]
    Unverified,
    /// The address is in no domain that is taken.
    #[error("Your e-mail address there is none of those that may sign in here.")]
    Domain,
    /// Nobody here has this address, or the person was shut out.
    #[error(
        "Nobody with your e-mail address there has an account here. Ask an owner or an administrator of your company to invite that address."
    )]
    Unknown,
    /// The account of the address is linked with another subject of the same issuer.
    #[error(
        "The account with your e-mail address here is linked with somebody else there. Sign in as you did before, or ask support."
    )]
    OtherSubject,
    /// The account of the address has another way to sign in, which was not shown.
    #[error(
        "The account with your e-mail address here signs in another way. Sign in that way, then link the two at Your account."
    )]
    OtherWay,
    /// It does not say that the person proved it just now.
    #[error("It did not ask you again who you are. Try again, and sign in there when it asks.")]
    NotJustNow,
    /// Somebody else proved it.
    #[error(
        "You signed in there as somebody else. Sign in with the account that is linked with yours here."
    )]
    SomebodyElse,
}

impl Refused {
    /// A stable word for records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unverified => "email_unverified",
            Self::Domain => "domain_not_allowed",
            Self::Unknown => "no_account",
            Self::OtherSubject => "other_subject",
            Self::OtherWay => "other_way",
            Self::NotJustNow => "not_just_now",
            Self::SomebodyElse => "somebody_else",
        }
    }
}

impl Claims {
    /// The address, if the provider vouches for it.
    pub fn verified_email(&self) -> Result<&str, Refused> {
        self.email.as_deref().filter(|_| self.email_verified).ok_or(Refused::Unverified)
    }

    /// Whether the person proved just now who they are, to a browser that was sent there at that moment.
    pub fn just_now(&self, sent_at: UnixTime, now: UnixTime) -> Result<(), Refused> {
        let just_now = |at: UnixTime| at.0 >= sent_at.0 - LEEWAY && at.0 <= now.0 + LEEWAY;
        if self.authenticated_at.is_some_and(just_now) { Ok(()) } else { Err(Refused::NotJustNow) }
    }
}

impl Policy {
    /// Whether somebody of whom this is said may sign in at all.
    pub fn admit(&self, claims: &Claims) -> Result<(), Refused> {
        if self.domains.is_empty() {
            return Ok(());
        }
        let (_, domain) = claims.verified_email()?.rsplit_once('@').ok_or(Refused::Unverified)?;
        if self.domains.iter().any(|known| known == domain) { Ok(()) } else { Err(Refused::Domain) }
    }

    /// Whether the provider saw a second factor that counts here.
    #[must_use]
    pub fn saw_second_factor(&self, claims: &Claims) -> bool {
        claims.methods.iter().any(|method| self.second_factor.contains(method))
    }

    /// What follows from a subject that nobody is linked with, whose verified address has this account.
    pub fn judge(&self, account: Option<Account>, invited: bool) -> Result<First, Refused> {
        let Some(account) = account else {
            return match (invited, self.create) {
                (true, _) => Ok(First::Make { invited: true }),
                (false, true) => Ok(First::Make { invited: false }),
                (false, false) => Err(Refused::Unknown),
            };
        };
        if account.disabled {
            Err(Refused::Unknown)
        } else if account.linked_here {
            Err(Refused::OtherSubject)
        } else if account.has_password && self.passwords {
            Ok(First::ProvePassword)
        } else if account.linked {
            Err(Refused::OtherWay)
        } else if account.has_password {
            Ok(First::Link(Provided::NoOtherLink))
        } else {
            Ok(First::Link(Provided::NothingElse))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy { domains: Vec::new(), create: false, second_factor: Vec::new(), passwords: true }
    }

    fn claims(email: Option<&str>, email_verified: bool) -> Claims {
        Claims {
            subject: "248289761001".to_owned(),
            email: email.map(str::to_owned),
            email_verified,
            methods: vec!["pwd".to_owned(), "mfa".to_owned(), "urn:two".to_owned()],
            authenticated_at: None,
        }
    }

    #[test]
    fn addresses() {
        let open = policy();
        let closed = Policy { domains: vec!["shop.example".to_owned()], ..policy() };
        for (email, verified, by_open, by_closed) in [
            (Some("ana@shop.example"), true, Ok(()), Ok(())),
            (Some("ana@shop.example"), false, Ok(()), Err(Refused::Unverified)),
            (None, true, Ok(()), Err(Refused::Unverified)),
            (Some("ana@evil.example"), true, Ok(()), Err(Refused::Domain)),
            (Some("ana@sub.shop.example"), true, Ok(()), Err(Refused::Domain)),
            (Some("ana@shop.example@evil.example"), true, Ok(()), Err(Refused::Domain)),
            (Some("shop.example"), true, Ok(()), Err(Refused::Unverified)),
        ] {
            let claims = claims(email, verified);
            assert_eq!(open.admit(&claims), by_open, "{email:?}");
            assert_eq!(closed.admit(&claims), by_closed, "{email:?} {verified}");
        }
        assert_eq!(claims(Some("a@b.example"), true).verified_email(), Ok("a@b.example"));
        assert_eq!(claims(Some("a@b.example"), false).verified_email(), Err(Refused::Unverified));
    }

    #[test]
    fn second_factors() {
        let claims = claims(None, false);
        for (counts, seen) in [
            (&[][..], false),
            (&["mfa"], true),
            (&["otp", "urn:two"], true),
            (&["MFA", "hwk"], false),
        ] {
            let second_factor = counts.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Policy { second_factor, ..policy() }.saw_second_factor(&claims), seen);
        }
    }

    #[test]
    fn how_recent_a_proof_is() {
        let (sent, now) = (UnixTime(1_000), UnixTime(1_100));
        for (at, recent) in [
            (None, false),
            (Some(939), false),
            (Some(940), true),
            (Some(1_100), true),
            (Some(1_160), true),
            (Some(1_161), false),
        ] {
            let claims = Claims { authenticated_at: at.map(UnixTime), ..claims(None, false) };
            assert_eq!(claims.just_now(sent, now).is_ok(), recent, "{at:?}");
        }
    }

    /// Every account that there can be, against every policy: what opens it, and what never does.
    #[test]
    fn first_times() {
        use First::{Link, Make, ProvePassword};
        let account = |text: &str| Account {
            disabled: text.contains('d'),
            has_password: text.contains('p'),
            linked_here: text.contains('h'),
            linked: text.contains(['h', 'l']),
        };
        for (account_of, invited, create, with_passwords, without) in [
            (None, false, false, Err(Refused::Unknown), Err(Refused::Unknown)),
            (None, true, false, Ok(Make { invited: true }), Ok(Make { invited: true })),
            (None, false, true, Ok(Make { invited: false }), Ok(Make { invited: false })),
            (None, true, true, Ok(Make { invited: true }), Ok(Make { invited: true })),
            (Some("d"), true, true, Err(Refused::Unknown), Err(Refused::Unknown)),
            (Some("dp"), true, true, Err(Refused::Unknown), Err(Refused::Unknown)),
            (Some("p"), true, true, Ok(ProvePassword), Ok(Link(Provided::NoOtherLink))),
            (Some("pl"), false, false, Ok(ProvePassword), Err(Refused::OtherWay)),
            (Some("ph"), false, true, Err(Refused::OtherSubject), Err(Refused::OtherSubject)),
            (Some("h"), true, true, Err(Refused::OtherSubject), Err(Refused::OtherSubject)),
            (Some("l"), true, true, Err(Refused::OtherWay), Err(Refused::OtherWay)),
            (
                Some(""),
                false,
                false,
                Ok(Link(Provided::NothingElse)),
                Ok(Link(Provided::NothingElse)),
            ),
        ] {
            for (passwords, expected) in [(true, with_passwords), (false, without)] {
                let policy = Policy { create, passwords, ..policy() };
                let judged = policy.judge(account_of.map(account), invited);
                assert_eq!(judged, expected, "{account_of:?} {invited} {create} {passwords}");
            }
        }
    }
}
