//! Rate limits, each keyed by what an attacker cannot change for free.
//!
//! A key has a bucket of one minute's quota that refills evenly, kept as one number: when it will be full again (the
//! generic cell rate algorithm). Written here because sign-in must look without taking, which governor cannot.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use counterfoil_protocol::encoding::sha256;

use crate::{clock::Clock, config, events};

/// The time in which most quotas are used up and refilled.
const PERIOD: Duration = Duration::from_mins(1);

/// Browsers a minute that are sent to external providers from one address: an office has one address.
const DEPARTURES: u32 = 60;

/// Letters an hour that strangers can have sent to one person.
const LETTERS_TO_ONE: u32 = 3;

/// Letters an hour that strangers at one address can have sent.
const LETTERS_BY_ADDRESS: u32 = 20;

/// Questions to one store's address, and for one installation, in a minute. An honest store needs one.
const OWNERSHIP_CHECKS: u32 = 10;

/// Keys a limit remembers. Beyond it new keys share one bucket, so that a flood of keys costs no memory.
const MAX_KEYS: usize = 100_000;

type Key = [u8; 16];

/// Too many; try again after so many seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many requests; try again in {seconds} s")]
pub struct RetryAfter {
    /// Seconds to wait, at least one.
    pub seconds: u64,
}

/// All rate limits.
pub struct Limits {
    clock: Arc<dyn Clock>,
    sign_in_by_account: Limit,
    sign_in_by_address: Limit,
    sign_in_by_browser: Limit,
    confirmation: Limit,
    departure: Limit,
    letters_by_account: Limit,
    letters_by_address: Limit,
    registration: Limit,
    token: Limit,
    push: Limit,
    introspection: Limit,
    partner: Limit,
    ownership_by_client: Limit,
    ownership_by_site: Limit,
}

impl Limits {
    /// The limits in the settings.
    #[must_use]
    pub fn new(limits: &config::Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            sign_in_by_account: Limit::new("sign_in_account", limits.sign_in_failures_per_minute),
            sign_in_by_address: Limit::new("sign_in_address", limits.sign_in_failures_per_minute),
            sign_in_by_browser: Limit::new("sign_in_browser", limits.sign_in_failures_per_minute),
            confirmation: Limit::new("confirmation", limits.sign_in_failures_per_minute),
            departure: Limit::new("departure", DEPARTURES),
            letters_by_account: Limit::hourly("letters_account", LETTERS_TO_ONE),
            letters_by_address: Limit::hourly("letters_address", LETTERS_BY_ADDRESS),
            registration: Limit::new("registration", limits.registrations_per_minute),
            token: Limit::new("token", limits.token_requests_per_minute),
            push: Limit::new("push", limits.pushed_requests_per_minute),
            introspection: Limit::new("introspection", limits.introspections_per_minute),
            partner: Limit::new("partner", limits.partner_requests_per_minute),
            ownership_by_client: Limit::new("ownership_client", OWNERSHIP_CHECKS),
            ownership_by_site: Limit::new("ownership_site", OWNERSHIP_CHECKS),
        }
    }

    /// Whether somebody may try to sign in. Nothing is counted until [`Self::note_sign_in_failure`].
    ///
    /// `browser` is one in which this very person signed in before: it has an allowance of its own, so that whoever
    /// guesses elsewhere locks nobody out.
    pub fn check_sign_in(
        &self,
        email: &str,
        address: IpAddr,
        browser: Option<&str>,
    ) -> Result<(), RetryAfter> {
        let now = self.clock.monotonic();
        if let Some(browser) = browser {
            return self.sign_in_by_browser.look(text_key(browser), now);
        }
        self.sign_in_by_account.look(text_key(email), now)?;
        self.sign_in_by_address.look(address_key(address), now)
    }

    /// Counts a failed sign-in. Attempts that were under way together are all counted, if need be on credit.
    pub fn note_sign_in_failure(&self, email: &str, address: IpAddr, browser: Option<&str>) {
        let now = self.clock.monotonic();
        if let Some(browser) = browser {
            return self.sign_in_by_browser.charge(text_key(browser), now);
        }
        self.sign_in_by_account.charge(text_key(email), now);
        self.sign_in_by_address.charge(address_key(address), now);
    }

    /// Whether somebody who is signed in may try to confirm it by the password again.
    pub fn check_confirmation(&self, user_id: &str) -> Result<(), RetryAfter> {
        self.confirmation.look(text_key(user_id), self.clock.monotonic())
    }

    /// Counts a confirmation that failed.
    pub fn note_confirmation_failure(&self, user_id: &str) {
        self.confirmation.charge(text_key(user_id), self.clock.monotonic());
    }

    /// Counts a browser that is sent to an external provider.
    pub fn check_departure(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.departure.take(address_key(address), self.clock.monotonic())
    }

    /// Counts a letter that somebody at `address` asks for.
    pub fn check_letter_from(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.letters_by_address.take(address_key(address), self.clock.monotonic())
    }

    /// Counts a letter to a person that a stranger asked for.
    pub fn check_letter_to(&self, email: &str) -> Result<(), RetryAfter> {
        self.letters_by_account.take(text_key(email), self.clock.monotonic())
    }

    /// Counts a registration of a store.
    pub fn check_registration(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.registration.take(address_key(address), self.clock.monotonic())
    }

    /// Counts a token request.
    pub fn check_token(&self, client_id: &str) -> Result<(), RetryAfter> {
        self.token.take(text_key(client_id), self.clock.monotonic())
    }

    /// Counts a pushed authorization request.
    pub fn check_push(&self, client_id: &str) -> Result<(), RetryAfter> {
        self.push.take(text_key(client_id), self.clock.monotonic())
    }

    /// Counts an introspection.
    pub fn check_introspection(&self, client_id: &str) -> Result<(), RetryAfter> {
        self.introspection.take(text_key(client_id), self.clock.monotonic())
    }

    /// Counts a request with a client's access token.
    pub fn check_partner(&self, client_id: &str) -> Result<(), RetryAfter> {
        self.partner.take(text_key(client_id), self.clock.monotonic())
    }

    /// Counts a question to a store's own address, which anybody could have named: by who named it, and by the address.
    pub fn check_ownership(&self, client_id: &str, site_url: &str) -> Result<(), RetryAfter> {
        let now = self.clock.monotonic();
        let host = site_url.split('/').nth(2).unwrap_or(site_url);
        self.ownership_by_client.take(text_key(client_id), now)?;
        self.ownership_by_site.take(text_key(host), now)
    }

    /// Forgets the keys whose buckets are full again.
    pub fn sweep(&self) {
        let now = self.clock.monotonic();
        for limit in [
            &self.sign_in_by_account,
            &self.sign_in_by_address,
            &self.sign_in_by_browser,
            &self.confirmation,
            &self.letters_by_account,
            &self.letters_by_address,
            &self.registration,
            &self.token,
            &self.push,
            &self.introspection,
            &self.partner,
            &self.ownership_by_client,
            &self.ownership_by_site,
        ] {
            limit.buckets().retain(|_, full_at| *full_at > now);
        }
    }
}

/// One limit. A key that is not in the table has a full bucket.
struct Limit {
    name: &'static str,
    /// The time in which a quota is used up and refilled.
    period: Duration,
    /// The time in which one is refilled.
    interval: Duration,
    /// When each bucket will be full again.
    buckets: Mutex<HashMap<Key, Duration>>,
}

impl Limit {
    fn new(name: &'static str, per_minute: u32) -> Self {
        Self::per(name, per_minute, PERIOD)
    }

    fn hourly(name: &'static str, per_hour: u32) -> Self {
        Self::per(name, per_hour, PERIOD * 60)
    }

    fn per(name: &'static str, quota: u32, period: Duration) -> Self {
        Self { name, period, interval: period / quota.max(1), buckets: Mutex::default() }
    }

    fn look(&self, key: Key, now: Duration) -> Result<(), RetryAfter> {
        let (_, full_at) = bucket(&self.buckets(), key, now);
        self.judge(full_at, now)
    }

    fn take(&self, key: Key, now: Duration) -> Result<(), RetryAfter> {
        let mut buckets = self.buckets();
        let (key, full_at) = bucket(&buckets, key, now);
        self.judge(full_at, now)?;
        buckets.insert(key, full_at + self.interval);
        Ok(())
    }

    fn charge(&self, key: Key, now: Duration) {
        let mut buckets = self.buckets();
        let (key, full_at) = bucket(&buckets, key, now);
        buckets.insert(key, full_at + self.interval);
    }

    fn judge(&self, full_at: Duration, now: Duration) -> Result<(), RetryAfter> {
        let wait = (full_at + self.interval).saturating_sub(now + self.period);
        if wait.is_zero() {
            return Ok(());
        }
        events::limited(self.name);
        Err(RetryAfter { seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) })
    }

    fn buckets(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Duration>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bucket of a key: its own, or the one that keys beyond the limit share.
fn bucket(buckets: &HashMap<Key, Duration>, key: Key, now: Duration) -> (Key, Duration) {
    let known = buckets.get(&key);
    let key = if known.is_none() && buckets.len() >= MAX_KEYS { Key::default() } else { key };
    (key, buckets.get(&key).copied().unwrap_or_default().max(now))
}

fn text_key(text: &str) -> Key {
    sha256(text.as_bytes())[..16].try_into().expect("16 of 32 bytes")
}

/// The address, or its /64: who has one address of IPv6 has all of those.
fn address_key(address: IpAddr) -> Key {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut key = address.octets();
            key[8..].fill(0);
            key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixed::FixedClock;

    const ADDRESS: &str = "192.0.2.1";

    fn limits() -> (Limits, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at(1_800_000_000));
        let settings = config::Limits {
            sign_in_failures_per_minute: 6,
            registrations_per_minute: 3,
            token_requests_per_minute: 60,
            ..config::Limits::default()
        };
        (Limits::new(&settings, clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_minutes_quota_at_once_then_evenly() {
        let (limits, clock) = limits();
        let register = || limits.check_registration(address(ADDRESS));
        for _ in 0..3 {
            assert_eq!(register(), Ok(()));
        }
        assert_eq!(register(), Err(RetryAfter { seconds: 20 }));
        clock.advance(19);
        assert_eq!(register(), Err(RetryAfter { seconds: 1 }));
        clock.advance(1);
        assert_eq!(register(), Ok(()));
        assert_eq!(register(), Err(RetryAfter { seconds: 20 }));
        assert_eq!(limits.check_registration(address("192.0.2.2")), Ok(()));
        clock.advance(3600);
        assert_eq!((0..9).filter(|_| register().is_ok()).count(), 3, "no more than one minute's");
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let (limits, _) = limits();
        for last in 1..=3 {
            let address = address(&format!("2001:db8::{last}"));
            assert_eq!(limits.check_registration(address), Ok(()));
        }
        assert!(limits.check_registration(address("2001:db8::ffff")).is_err());
        assert_eq!(limits.check_registration(address("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn sign_in_counts_failures_by_account_and_by_address() {
        let (limits, clock) = limits();
        let check =
            |email: &str, from: &str| limits.check_sign_in(email, address(from), None).is_ok();
        for _ in 0..100 {
            assert!(check("ana@shop.example", ADDRESS));
        }
        for _ in 0..6 {
            limits.note_sign_in_failure("ana@shop.example", address(ADDRESS), None);
        }
        assert!(!check("ana@shop.example", "192.0.2.9"), "the account, from anywhere");
        assert!(!check("bob@shop.example", ADDRESS), "the address, to anyone");
        assert!(check("bob@shop.example", "192.0.2.9"));
        let hers = |browser| limits.check_sign_in("ana@shop.example", address(ADDRESS), browser);
        assert!(hers(Some("hers")).is_ok(), "where she signed in before");
        for _ in 0..6 {
            limits.note_sign_in_failure("ana@shop.example", address(ADDRESS), Some("stolen"));
        }
        assert!(hers(Some("stolen")).is_err());
        assert!(hers(Some("hers")).is_ok());
        for _ in 0..6 {
            limits.note_sign_in_failure("ana@shop.example", address(ADDRESS), None);
        }
        clock.advance(60);
        assert!(!check("ana@shop.example", ADDRESS), "what came on credit is waited for");
        clock.advance(10);
        assert!(check("ana@shop.example", ADDRESS));
    }

    #[test]
    fn letters_are_counted_by_the_hour() {
        let (limits, clock) = limits();
        let to = |email: &str| limits.check_letter_to(email);
        assert_eq!((0..9).filter(|_| to("ana@shop.example").is_ok()).count(), 3);
        assert!(to("bob@shop.example").is_ok());
        clock.advance(1199);
        assert_eq!(to("ana@shop.example"), Err(RetryAfter { seconds: 1 }));
        clock.advance(1);
        assert_eq!(to("ana@shop.example"), Ok(()));
        assert_eq!(
            (0..99).filter(|_| limits.check_letter_from(address(ADDRESS)).is_ok()).count(),
            20
        );
    }

    #[test]
    fn memory_is_bounded() {
        let (limits, clock) = limits();
        for client in 0..MAX_KEYS {
            assert_eq!(limits.check_token(&client.to_string()), Ok(()));
        }
        let beyond = |n: usize| limits.check_token(&format!("beyond {n}"));
        assert_eq!((0..100).filter(|n| beyond(*n).is_ok()).count(), 60, "one bucket for all");
        assert_eq!(limits.check_token("1"), Ok(()), "who was there keeps his own");
        assert_eq!(limits.token.buckets().len(), MAX_KEYS + 1);
        clock.advance(61);
        limits.sweep();
        assert_eq!(limits.token.buckets().len(), 0);
    }
}
