use counterfoil_protocol::scope::ScopeSet;

use super::*;
use crate::oauth::grant::Grant;

const KEY: Thumbprint = Thumbprint([1; 32]);
const THIEF: Thumbprint = Thumbprint([2; 32]);
const NOW: UnixTime = UnixTime(1_000_000);
const FAMILY_ID: [u8; 16] = [7; 16];
/// The generation in the row.
const CURRENT: u32 = 5;
const SENT: [u8; 32] = [3; 32];
const OTHER: [u8; 32] = [4; 32];

fn hash_of(generation: u32) -> [u8; 32] {
    [u8::try_from(generation % 251).expect("below 251") ^ 0x80; 32]
}

/// A native installation's family, refreshed before without an `Idempotency-Key`.
fn family() -> Family {
    let grant = Grant {
        id: "grant".to_owned(),
        client_id: "mco_app_store".to_owned(),
        company_id: "company".to_owned(),
        company_name: "Company".to_owned(),
        redeemed_at: Some(UnixTime(1)),
        revoked_at: None,
    };
    Family {
        id: FAMILY_ID,
        grant,
        scope: ScopeSet::parse("company:read").expect("a scope"),
        resource: "https://pay.example/api/partner/v1".to_owned(),
        key: Some(KEY),
        generation: CURRENT,
        token_hash: hash_of(CURRENT),
        receipt: Some(receipt(None)),
        expires_at: None,
        revoked_at: None,
        successor: None,
    }
}

fn receipt(idempotency: Option<[u8; 32]>) -> Receipt {
    Receipt { idempotency, sealed: vec![1], kid: "kid".to_owned(), given_at: UnixTime(1) }
}

fn kept_for(idempotency: Option<[u8; 32]>) -> Family {
    Family { receipt: Some(receipt(idempotency)), ..family() }
}

fn first_answer_not_kept() -> Family {
    Family { receipt: None, ..family() }
}

fn unbound() -> Family {
    Family { key: None, ..family() }
}

fn ended() -> Family {
    Family { revoked_at: Some(UnixTime(1)), ..family() }
}

fn withdrawn() -> Family {
    let mut family = family();
    family.grant.revoked_at = Some(UnixTime(1));
    family
}

fn idle_end(at: UnixTime) -> Family {
    Family { expires_at: Some(at), ..family() }
}

/// What was presented, in the terms of the rule.
#[derive(Clone, Copy)]
struct With {
    generation: u32,
    hash: Option<[u8; 32]>,
    client: &'static str,
    key: Option<Thumbprint>,
    idempotency: Option<[u8; 32]>,
    rule: RetryRule,
}

/// A native installation's request with its own key.
fn native(generation: u32) -> With {
    With {
        generation,
        hash: None,
        client: "mco_app_store",
        key: Some(KEY),
        idempotency: None,
        rule: RetryRule::SameSuccessor,
    }
}

fn named(generation: u32, idempotency: [u8; 32]) -> With {
    With { idempotency: Some(idempotency), ..native(generation) }
}

fn signed_by(key: Option<Thumbprint>, generation: u32) -> With {
    With { key, ..native(generation) }
}

fn strict(generation: u32) -> With {
    With { rule: RetryRule::Strict, ..native(generation) }
}

fn stranger(generation: u32) -> With {
    With { client: "mco_app_other", ..native(generation) }
}

#[track_caller]
fn check(family: &Family, with: With, expected: &str) {
    let token_hash = with.hash.unwrap_or_else(|| hash_of(with.generation));
    let presented = Presented {
        token: RefreshToken { family: FAMILY_ID, generation: with.generation },
        token_hash: &token_hash,
        client_id: with.client,
        key: with.key.as_ref(),
        idempotency: with.idempotency.as_ref(),
        rule: with.rule,
        now: NOW,
    };
    let said = match decide(family, &presented) {
        Decision::Rotate { next, adopted: false } => format!("rotate to {next}"),
        Decision::Rotate { next, adopted: true } => format!("adopt and rotate to {next}"),
        Decision::Replay(receipt) => {
            assert_eq!(Some(receipt), family.receipt.as_ref());
            "the same answer".to_owned()
        }
        Decision::EndFamily => "end the family".to_owned(),
        Decision::Refuse(refused) => format!("refuse: {refused:?}"),
    };
    assert_eq!(said, expected);
}

#[test]
fn the_newest_token_rotates() {
    check(&family(), native(CURRENT), "rotate to 6");
    check(&family(), named(CURRENT, SENT), "rotate to 6");
    check(&family(), strict(CURRENT), "rotate to 6");
    let first = Family { generation: 1, token_hash: hash_of(1), receipt: None, ..family() };
    check(&first, native(1), "rotate to 2");
}

#[test]
fn a_lost_answer_is_had_again() {
    check(&family(), native(CURRENT - 1), "the same answer");
    // The first request had no key, so a retry that has one is a retry all the same.
    check(&family(), named(CURRENT - 1, SENT), "the same answer");
    check(&kept_for(Some(SENT)), named(CURRENT - 1, SENT), "the same answer");
}

#[test]
fn an_answer_kept_for_a_key_is_for_that_key_alone() {
    let kept = kept_for(Some(SENT));
    check(&kept, named(CURRENT - 1, OTHER), "refuse: OtherIdempotencyKey");
    check(&kept, native(CURRENT - 1), "refuse: OtherIdempotencyKey");
}

#[test]
fn older_tokens_end_the_family() {
    for generation in [1, CURRENT - 3, CURRENT - 2] {
        check(&family(), native(generation), "end the family");
        check(&kept_for(Some(SENT)), named(generation, SENT), "end the family");
    }
    check(&first_answer_not_kept(), native(CURRENT - 1), "end the family");
}

#[test]
fn strict_clients_have_no_retry() {
    check(&family(), strict(CURRENT - 1), "end the family");
    let kept = kept_for(Some(SENT));
    check(&kept, With { idempotency: Some(SENT), ..strict(CURRENT - 1) }, "end the family");
    check(&family(), strict(CURRENT - 2), "end the family");
}

#[test]
fn unbound_tokens_are_strict_whatever_the_client() {
    check(&unbound(), signed_by(None, CURRENT), "rotate to 6");
    // A proof is nothing an unbound family could be judged by.
    check(&unbound(), signed_by(Some(THIEF), CURRENT), "rotate to 6");
    check(&unbound(), signed_by(None, CURRENT - 1), "end the family");
    check(&unbound(), signed_by(None, CURRENT - 2), "end the family");
    check(&unbound(), signed_by(None, CURRENT + 1), "end the family");
}

#[test]
fn a_restored_server_adopts_what_is_ahead_of_it() {
    check(&family(), native(CURRENT + 1), "adopt and rotate to 7");
    check(&family(), strict(CURRENT + 40), "adopt and rotate to 46");
    check(&family(), signed_by(Some(THIEF), CURRENT + 1), "refuse: WrongKey");
    // The same place in the chain, given before the restore and again after it: one of the two was used.
    let twin = With { hash: Some([0; 32]), ..native(CURRENT) };
    check(&family(), twin, "end the family");
    let mut last = family();
    last.generation = u32::MAX;
    last.token_hash = hash_of(u32::MAX);
    check(&last, native(u32::MAX), "rotate to 4294967295");
}

#[test]
fn another_client_ends_nothing() {
    for generation in [CURRENT - 2, CURRENT - 1, CURRENT, CURRENT + 1] {
        check(&family(), stranger(generation), "refuse: OtherClient");
    }
    check(&ended(), stranger(CURRENT), "refuse: OtherClient");
    check(&family(), With { key: Some(THIEF), ..stranger(CURRENT) }, "refuse: OtherClient");
}

#[test]
fn the_key_is_judged_before_dead_or_used() {
    for family in [family(), ended(), withdrawn(), idle_end(NOW), kept_for(Some(SENT))] {
        for generation in [CURRENT - 2, CURRENT - 1, CURRENT, CURRENT + 1] {
            check(&family, signed_by(Some(THIEF), generation), "refuse: WrongKey");
            check(&family, signed_by(None, generation), "refuse: WrongKey");
        }
    }
}

#[test]
fn what_has_ended_gives_nothing() {
    for family in [ended(), withdrawn(), idle_end(NOW), idle_end(NOW - 1)] {
        for generation in [CURRENT - 2, CURRENT - 1, CURRENT, CURRENT + 1] {
            check(&family, native(generation), "refuse: Ended");
            check(&family, strict(generation), "refuse: Ended");
        }
    }
    check(&idle_end(NOW + 1), strict(CURRENT), "rotate to 6");
}
