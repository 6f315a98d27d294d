//! Access tokens at the partner API: how they are presented (RFC 6750 §2.1, RFC 9449 §7.1) and what they must say
//! (RFC 9068 §4).

use std::fmt;

use counterfoil_protocol::{UnixTime, access_token::Claims, encoding::from_base64url_exact};

/// How far ahead another machine's clock may be, in seconds. `exp` is exact: it is our own clock that wrote it.
const CLOCK_LEEWAY: i64 = 60;

/// The scheme of an `Authorization` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// RFC 6750: a token that is bound to no key.
    Bearer,
    /// RFC 9449: a token that is bound to a key.
    Dpop,
}

impl Scheme {
    /// The name in a challenge.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// A token as it was presented. Its `Debug` leaves the token out.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Presented<'a> {
    /// The scheme, in any case.
    pub scheme: Scheme,
    /// The token.
    pub token: &'a str,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// What is wrong with an `Authorization` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderFault {
    /// Not a scheme, one space, and a token of the characters that a token has.
    #[error("the Authorization header is not a scheme, one space and a token")]
    Malformed,
    /// A scheme that we do not take.
    #[error("the Authorization header's scheme is neither DPoP nor Bearer")]
    UnknownScheme,
}

/// Reads the value of an `Authorization` header.
pub fn presented(value: &[u8]) -> Result<Presented<'_>, HeaderFault> {
    let end = value.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(value.len());
    let (name, rest) = value.split_at(end);
    let scheme = if name.eq_ignore_ascii_case(b"dpop") {
        Scheme::Dpop
    } else if name.eq_ignore_ascii_case(b"bearer") {
        Scheme::Bearer
    } else {
        return Err(HeaderFault::UnknownScheme);
    };
    let token = rest.strip_prefix(b" ").ok_or(HeaderFault::Malformed)?;
    let token = std::str::from_utf8(token).map_err(|_| HeaderFault::Malformed)?;
    is_token(token).then_some(Presented { scheme, token }).ok_or(HeaderFault::Malformed)
}

/// `b64token` of RFC 6750 §2.1.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    !body.is_empty() && body.bytes().all(plain)
}

/// What a token's standing is looked up by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenNames<'a> {
    /// The token's own name.
    pub jti: &'a str,
    /// The client it was given to.
    pub client_id: &'a str,
    /// The grant it rests on.
    pub grant_id: &'a str,
    /// The family it came from; none for client credentials.
    pub family: Option<[u8; 16]>,
}

/// Why a genuine token is not good here and now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// `aud` does not contain this API.
    #[error("the token is for another resource")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// From another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// `iat` or `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// It names no grant, or not itself, or a family that is no family.
    #[error("the token does not name what it rests on")]
    Unnamed,
}

/// Checks what a genuine token says.
pub fn judge<'a>(
    claims: &'a Claims,
    issuer: &str,
    resource: &str,
    now: UnixTime,
) -> Result<TokenNames<'a>, TokenFault> {
    let latest = now + CLOCK_LEEWAY;
    for (holds, fault) in [
        (claims.iss == issuer, TokenFault::Issuer),
        (claims.aud.iter().any(|aud| aud == resource), TokenFault::Audience),
        (now < claims.exp, TokenFault::Expired),
        (claims.iat <= latest && claims.nbf.is_none_or(|nbf| nbf <= latest), TokenFault::NotYet),
    ] {
        if !holds {
            return Err(fault);
        }
    }
    let family = match claims.family_id.as_deref() {
        None => None,
        Some(text) => Some(from_base64url_exact(text).ok_or(TokenFault::Unnamed)?),
    };
    match (&claims.jti, &claims.grant_id) {
        (Some(jti), Some(grant_id)) => {
            Ok(TokenNames { jti, client_id: &claims.client_id, grant_id, family })
        }
        _ => Err(TokenFault::Unnamed),
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::scope::ScopeSet;

    use super::*;

    #[test]
    fn headers() {
        let good = |scheme, token| Ok(Presented { scheme, token });
        let malformed = Err(HeaderFault::Malformed);
        let unknown = Err(HeaderFault::UnknownScheme);
        for (header, expected) in [
            ("DPoP a.b.c", good(Scheme::Dpop, "a.b.c")),
            ("dPOp a.b-_~+/c==", good(Scheme::Dpop, "a.b-_~+/c==")),
            ("BEARER x", good(Scheme::Bearer, "x")),
            ("DPoP", malformed),
            ("DPoP ", malformed),
            ("DPoP  a.b.c", malformed),
            ("DPoP\ta.b.c", malformed),
            ("DPoP a.b.c ", malformed),
            ("DPoP a.b.c a.b.c", malformed),
            ("DPoP a.b.c,", malformed),
            ("DPoP a.b.c, DPoP a.b.c", malformed),
            ("DPoP token=a", malformed),
            ("DPoP \"a\"", malformed),
            ("DPoP =", malformed),
            ("DPoP \u{2603}", malformed),
            ("Bearer", malformed),
            ("DPoPx a", unknown),
            ("Basic YTpi", unknown),
            ("a.b.c", unknown),
            (" DPoP a", unknown),
            ("", unknown),
        ] {
            assert_eq!(presented(header.as_bytes()), expected, "{header:?}");
        }
        assert_eq!(presented(b"DPoP \xff"), malformed);
    }

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn check(change: impl FnOnce(&mut Claims)) -> Result<(), TokenFault> {
        let mut claims = Claims {
            iss: "https://pay.example".to_owned(),
            aud: vec!["https://pay.example/api/partner/v1".to_owned()],
            sub: None,
            client_id: "mco_app_1".to_owned(),
            scope: ScopeSet::default(),
            iat: NOW,
            exp: NOW + 1,
            nbf: None,
            jti: Some("j".to_owned()),
            cnf: None,
            company_id: None,
            company_name: None,
            grant_id: Some("g".to_owned()),
            installation_id: None,
            family_id: Some("AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        };
        change(&mut claims);
        judge(&claims, "https://pay.example", "https://pay.example/api/partner/v1", NOW).map(drop)
    }

    #[test]
    fn claims() {
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(check(|c| c.aud.insert(0, "https://other.example".to_owned())), Ok(()));
        assert_eq!(check(|c| (c.iat, c.nbf) = (NOW + 60, Some(NOW + 60))), Ok(()));
        assert_eq!(check(|c| c.family_id = None), Ok(()));
        let issuer = |c: &mut Claims| c.iss.push('/');
        assert_eq!(check(issuer), Err(TokenFault::Issuer));
        assert_eq!(check(|c| c.aud.clear()), Err(TokenFault::Audience));
        assert_eq!(check(|c| c.aud[0].push('/')), Err(TokenFault::Audience));
        for exp in [NOW, NOW - 1, UnixTime(0)] {
            assert_eq!(check(|c| c.exp = exp), Err(TokenFault::Expired));
        }
        assert_eq!(check(|c| c.iat = NOW + 61), Err(TokenFault::NotYet));
        assert_eq!(check(|c| c.nbf = Some(NOW + 61)), Err(TokenFault::NotYet));
        assert_eq!(check(|c| c.jti = None), Err(TokenFault::Unnamed));
        assert_eq!(check(|c| c.grant_id = None), Err(TokenFault::Unnamed));
        assert_eq!(check(|c| c.family_id = Some("AA".to_owned())), Err(TokenFault::Unnamed));
    }
}
