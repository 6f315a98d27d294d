use counterfoil_protocol::scope::ScopeSet;

use super::*;
use crate::clock::fixed::CountingEntropy;

const NOW: UnixTime = UnixTime(1_800_000_000);
const ES256: &[Algorithm] = &[Algorithm::Es256];

/// Keys in a directory of their own.
struct Ring {
    directory: tempfile::TempDir,
    entropy: CountingEntropy,
    keys: SigningKeys,
}

impl Ring {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let entropy = CountingEntropy::default();
        let keys = SigningKeys::open(directory.path(), &entropy, NOW).expect("keys");
        Self { directory, entropy, keys }
    }

    fn published(&self, now: UnixTime) -> Vec<String> {
        let set = self.keys.current().jwks(now);
        let keys = set["keys"].as_array().expect("a list");
        keys.iter().map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
    }

    /// A token made now, and the key that signed it.
    fn token(&self, now: UnixTime) -> (String, String) {
        let keys = self.keys.current();
        let (token, kid) = keys.sign(Algorithm::Es256, &claims(now), now).expect("signs");
        (token, kid.to_owned())
    }

    fn believes(&self, token: &str) -> bool {
        Claims::verify(token, self.keys.current().verification()).is_ok()
    }

    fn rotate(&self, takeover: Takeover, now: UnixTime) -> Rotated {
        rotate(self.directory.path(), ES256, takeover, &self.entropy, now).expect("rotates")
    }

    fn remove(&self, kid: &str, now: UnixTime) -> Removal {
        remove(self.directory.path(), kid, now).expect("is written")
    }

    fn files(&self) -> usize {
        let files = fs::read_dir(self.directory.path()).expect("a directory").flatten();
        files.filter(|entry| entry.path().extension().is_some_and(|e| e == "pem")).count()
    }
}

fn claims(now: UnixTime) -> Claims {
    Claims {
        iss: "https://pay.example".to_owned(),
        aud: vec!["https://pay.example/api/partner/v1".to_owned()],
        sub: None,
        client_id: "mco_app_1".to_owned(),
        scope: ScopeSet::parse("company:read").expect("a scope"),
        iat: now,
        exp: now + 3600,
        nbf: None,
        jti: None,
        cnf: None,
        company_id: None,
        company_name: None,
        grant_id: None,
        installation_id: None,
        family_id: None,
    }
}

fn one(rotated: Rotated) -> (KeyRecord, usize) {
    match rotated {
        Rotated::Done { mut made, withdrawn } if made.len() == 1 => {
            (made.remove(0), withdrawn.len())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_key_is_published_before_it_signs_and_the_one_before_stays() {
    let ring = Ring::new();
    let before = ring.published(NOW);
    let (old, first) = ring.token(NOW);
    let (second, _) = one(ring.rotate(Takeover::After(NOTICE), NOW));
    let notice = i64::from(NOTICE);
    assert_eq!(second.signs_from, NOW + notice);
    // The keys that are open notice the new list and the hour by themselves.
    assert_eq!(ring.published(NOW), [&*before, std::slice::from_ref(&second.kid)].concat());
    assert_eq!(ring.token(NOW + notice - 1).1, first);
    let (new, kid) = ring.token(NOW + notice);
    assert_eq!(kid, second.kid);
    assert!(ring.believes(&old) && ring.believes(&new));
    assert_eq!(ring.rotate(Takeover::After(NOTICE), NOW + 1), Rotated::Waits(second.clone()));
    // Another process sees the same.
    let again = SigningKeys::open(ring.directory.path(), &ring.entropy, NOW).expect("keys");
    let again = again.current();
    let (_, kid) = again.sign(Algorithm::Es256, &claims(NOW), NOW + notice).expect("signs");
    assert_eq!(kid, second.kid);

    let end = NOW + notice + RETIRED_LIFETIME;
    assert!(ring.keys.current().is_published(&first, end - 1));
    assert!(!ring.keys.current().is_published(&first, end));
    assert_eq!(ring.published(end).len(), 2);
    assert_eq!(ring.keys.sweep(end - 1).expect("sweeps"), 0);
    assert_eq!((ring.keys.sweep(end).expect("sweeps"), ring.files()), (1, 2));
    assert!(ring.believes(&new) && !ring.believes(&old));
}

#[test]
fn in_an_emergency_a_new_key_signs_at_once_and_what_is_retired_ends() {
    let ring = Ring::new();
    let (stolen, first) = ring.token(NOW);
    let (waiting, _) = one(ring.rotate(Takeover::After(NOTICE), NOW));
    assert!(matches!(ring.remove(&first, NOW), Removal::Signs(record) if record.kid == first));
    let (next, withdrawn) = one(ring.rotate(Takeover::Now, NOW + 1));
    assert_eq!((next.signs_from, withdrawn), (NOW + 1, 1));
    assert!(!ring.published(NOW + 1).contains(&waiting.kid));
    assert_eq!(ring.token(NOW + 1).1, next.kid);
    assert!(ring.believes(&stolen), "until it is taken away");
    assert!(matches!(ring.remove(&first, NOW + 1), Removal::Done(record) if record.kid == first));
    assert!(!ring.believes(&stolen));
    assert!(!ring.published(NOW + 1).contains(&first));
    assert_eq!(ring.remove(&first, NOW + 1), Removal::Unknown);
    assert_eq!(ring.files(), 2, "and no private half stays behind");
    assert!(ring.believes(&ring.token(NOW + 2).0));
}

#[test]
fn a_key_that_waits_can_be_withdrawn() {
    let ring = Ring::new();
    let (_, first) = ring.token(NOW);
    let (waiting, _) = one(ring.rotate(Takeover::After(NOTICE), NOW));
    assert_eq!(ring.remove(&waiting.kid, NOW + 1), Removal::Done(waiting));
    let later = NOW + 10 * RETIRED_LIFETIME;
    assert_eq!(ring.token(later).1, first);
    assert!(ring.keys.current().is_published(&first, later));
}

#[test]
fn where_the_list_was_lost_there_are_new_keys_of_both_kinds_at_once() {
    let ring = Ring::new();
    fs::remove_file(ring.directory.path().join(INDEX)).expect("removes");
    let made = ring.rotate(Takeover::After(NOTICE), NOW);
    let Rotated::Done { made, .. } = made else { panic!("{made:?}") };
    let made: Vec<_> = made.iter().map(|key| (&*key.alg, key.state(NOW))).collect();
    assert_eq!(made, [("ES256", State::Signing), ("RS256", State::Signing)]);
}

#[test]
fn an_unreadable_index_keeps_the_keys_in_force() {
    let ring = Ring::new();
    let before = ring.published(NOW);
    fs::write(ring.directory.path().join(INDEX), "[").expect("writes");
    assert_eq!(ring.published(NOW), before);
    let entropy = CountingEntropy::default();
    assert!(SigningKeys::open(ring.directory.path(), &entropy, NOW).is_err());
}
