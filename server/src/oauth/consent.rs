//! Consent: what is judged again when a person decides, and what a page must say is new.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

use super::{
    client::Client,
    installation::Slot,
    request::{AuthorizationRequest, Fault, callback_is_registered},
};

/// Judges again what may have changed since the request was found good: callback, scopes, key.
///
/// Answers, for a native installation, the key and the slot it is in now.
pub fn judge_again(
    request: &AuthorizationRequest,
    client: &Client,
    now: UnixTime,
) -> Result<Option<(Slot, Thumbprint)>, Fault> {
    if !callback_is_registered(client, &request.redirect_uri, now) {
        return Err(Fault::RedirectUriUnknown);
    }
    if !client.scopes.contains_all(&request.scope) {
        return Err(Fault::Scope);
    }
    let Some(installation) = client.installation() else { return Ok(None) };
    let key = request.key.ok_or(Fault::KeyUnknown)?;
    let slot = installation.slot(&key, &request.redirect_uri, now).ok_or(Fault::KeyUnknown)?;
    Ok(Some((slot, key)))
}

/// What a native installation's request would change, if it is approved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct News {
    /// Nobody has approved this store so far.
    pub first: bool,
    /// The store proves itself with another key than the one approved.
    pub key: bool,
    /// The store was at this address.
    pub moved_from: Option<String>,
}

/// Compares what a request speaks for with what was approved.
#[must_use]
pub fn news(client: &Client, slot: Slot, now: UnixTime) -> News {
    let Some(installation) = client.installation() else { return News::default() };
    let first = installation.approved_at.is_none();
    let staged = installation.staged_at(now).filter(|_| slot == Slot::Staged);
    News {
        first,
        key: !first && staged.is_some_and(|staged| installation.key != Some(staged.key)),
        moved_from: staged
            .filter(|staged| staged.moved_to.is_some())
            .map(|_| installation.site_url.clone()),
    }
}

/// The store's address that a request speaks for.
#[must_use]
pub fn site_url(client: &Client, slot: Slot, now: UnixTime) -> Option<&str> {
    let installation = client.installation()?;
    let moved_to = installation
        .staged_at(now)
        .filter(|_| slot == Slot::Staged)
        .and_then(|staged| staged.moved_to.as_ref());
    Some(moved_to.map_or(installation.site_url.as_str(), |address| address.site_url.as_str()))
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::scope::ScopeSet;

    use super::*;
    use crate::oauth::{
        client::ClientKind,
        installation::{Address, Installation, STAGED_LIFETIME, Staged},
    };

    const NOW: UnixTime = UnixTime(1_000_000);
    const OLD: Thumbprint = Thumbprint([1; 32]);
    const NEW: Thumbprint = Thumbprint([2; 32]);

    fn store(approved: bool, staged: Option<(Thumbprint, bool)>) -> Client {
        let moved = || Address {
            site_url: "https://new.example".to_owned(),
            redirect_uri: "https://new.example/cb".to_owned(),
        };
        let staged =
            staged.map(|(key, moves)| Staged { key, moved_to: moves.then(moved), at: NOW });
        Client {
            id: "mco_app_1".to_owned(),
            name: "Store".to_owned(),
            scopes: ScopeSet::parse("a b").expect("scopes"),
            require_nonce: false,
            created_at: NOW,
            kind: ClientKind::Native(Installation {
                platform: "wordpress".to_owned(),
                site_url: "https://old.example".to_owned(),
                redirect_uri: "https://old.example/cb".to_owned(),
                plugin_version: "1".to_owned(),
                platform_version: None,
                key: Some(OLD),
                staged,
                registered_at: NOW,
                approved_at: approved.then_some(NOW),
            }),
        }
    }

    fn request(key: Option<Thumbprint>, host: &str, scope: &str) -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: "mco_app_1".to_owned(),
            redirect_uri: format!("https://{host}.example/cb"),
            scope: ScopeSet::parse(scope).expect("scopes"),
            state: None,
            challenge: String::new(),
            key,
            resource: String::new(),
        }
    }

    #[test]
    fn what_changed_since_is_noticed() {
        let (plain, rekeyed, moved) =
            (store(true, None), store(true, Some((NEW, false))), store(true, Some((NEW, true))));
        let judge = |client, key, host, scope| {
            judge_again(&request(key, host, scope), client, NOW).map(|slot| slot.map(|(s, _)| s))
        };
        assert_eq!(judge(&plain, Some(OLD), "old", "a"), Ok(Some(Slot::Current)));
        assert_eq!(judge(&rekeyed, Some(NEW), "old", "a b"), Ok(Some(Slot::Staged)));
        assert_eq!(judge(&moved, Some(NEW), "new", "a"), Ok(Some(Slot::Staged)));
        assert_eq!(judge(&moved, Some(OLD), "old", "a"), Ok(Some(Slot::Current)));
        for (client, key, host, scope, fault) in [
            (&plain, Some(NEW), "old", "a", Fault::KeyUnknown),
            (&plain, None, "old", "a", Fault::KeyUnknown),
            (&plain, Some(OLD), "new", "a", Fault::RedirectUriUnknown),
            (&moved, Some(NEW), "old", "a", Fault::KeyUnknown),
            (&plain, Some(OLD), "old", "a c", Fault::Scope),
        ] {
            assert_eq!(judge(client, key, host, scope), Err(fault), "{key:?} {host} {scope}");
        }
        let later = NOW + STAGED_LIFETIME;
        let expired = judge_again(&request(Some(NEW), "old", "a"), &rekeyed, later);
        assert_eq!(expired, Err(Fault::KeyUnknown));
    }

    #[test]
    fn what_a_page_says_is_new() {
        let check = |client: &Client, slot, first, key, moved_from: Option<&str>| {
            let moved_from = moved_from.map(str::to_owned);
            assert_eq!(news(client, slot, NOW), News { first, key, moved_from });
        };
        let old = Some("https://old.example");
        check(&store(false, None), Slot::Current, true, false, None);
        check(&store(true, None), Slot::Current, false, false, None);
        check(&store(true, Some((NEW, true))), Slot::Current, false, false, None);
        check(&store(true, Some((NEW, false))), Slot::Staged, false, true, None);
        check(&store(true, Some((NEW, true))), Slot::Staged, false, true, old);
        check(&store(true, Some((OLD, true))), Slot::Staged, false, false, old);
        check(&store(false, Some((NEW, false))), Slot::Staged, true, false, None);
        let moved = store(true, Some((NEW, true)));
        assert_eq!(site_url(&moved, Slot::Staged, NOW), Some("https://new.example"));
        assert_eq!(site_url(&moved, Slot::Current, NOW), old);
    }
}
