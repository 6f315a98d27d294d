use counterfoil_protocol::scope::ScopeSet;

use super::*;
use crate::oauth::grant::Grant;

const OLD: Thumbprint = Thumbprint([1; 32]);
const NEW: Thumbprint = Thumbprint([2; 32]);
const THIEF: Thumbprint = Thumbprint([3; 32]);
const NOW: UnixTime = UnixTime(1_000_000);
/// The generation in the old family's row.
const CURRENT: u32 = 5;
const SENT: [u8; 32] = [4; 32];
const OTHER: [u8; 32] = [5; 32];

fn hash_of(generation: u32) -> [u8; 32] {
    [u8::try_from(generation).expect("small") ^ 0x80; 32]
}

/// A native installation's family, refreshed before.
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
        id: [7; 16],
        grant,
        scope: ScopeSet::parse("company:read").expect("a scope"),
        resource: "https://pay.example/api/partner/v1".to_owned(),
        key: Some(OLD),
        generation: CURRENT,
        token_hash: hash_of(CURRENT),
        receipt: Some(receipt(OTHER, NOW)),
        expires_at: None,
        revoked_at: None,
        successor: None,
    }
}

fn receipt(idempotency: [u8; 32], given_at: UnixTime) -> Receipt {
    Receipt { idempotency: Some(idempotency), sealed: vec![1], kid: "kid".to_owned(), given_at }
}

fn ended() -> Family {
    Family { revoked_at: Some(NOW - 1), ..family() }
}

fn withdrawn() -> Family {
    let mut family = family();
    family.grant.revoked_at = Some(NOW - 1);
    family
}

/// The family that took its place, with the answer for a retry.
fn successor() -> Family {
    let receipt = Some(receipt(SENT, NOW - 1));
    Family { id: [8; 16], key: Some(NEW), generation: 1, receipt, ..family() }
}

/// What was presented, in the terms of the rule: by default the honest first request.
#[derive(Clone, Copy)]
struct With {
    generation: u32,
    client: &'static str,
    key: Thumbprint,
    previous: Option<(Thumbprint, Option<Thumbprint>)>,
    idempotency: [u8; 32],
    installation: Option<Thumbprint>,
    in_two_places: bool,
}

const HONEST: With = With {
    generation: CURRENT,
    client: "mco_app_store",
    key: NEW,
    previous: Some((OLD, Some(NEW))),
    idempotency: SENT,
    installation: Some(OLD),
    in_two_places: false,
};

/// A request whose only proof is by this key.
fn alone(key: Thumbprint) -> With {
    With { key, previous: None, ..HONEST }
}

fn presenting(generation: u32) -> With {
    With { generation, ..HONEST }
}

#[track_caller]
fn check(family: &Family, successor: Option<&Family>, with: With, expected: &str) {
    let known = Known {
        family,
        successor,
        key: with.installation.as_ref(),
        in_two_places: with.in_two_places,
    };
    let presented = Presented {
        token: RefreshToken { family: family.id, generation: with.generation },
        token_hash: &hash_of(with.generation),
        client_id: with.client,
        key: &with.key,
        previous: with
            .previous
            .as_ref()
            .map(|(key, successor)| Previous { key, successor: successor.as_ref() }),
        idempotency: &with.idempotency,
        now: NOW,
    };
    let said = match decide(&known, &presented) {
        Decision::Rotate { adopted: false } => "rotate".to_owned(),
        Decision::Rotate { adopted: true } => "adopt and rotate".to_owned(),
        Decision::Replay(receipt) => {
            assert_eq!(Some(receipt), successor.and_then(|family| family.receipt.as_ref()));
            "the same answer".to_owned()
        }
        Decision::EndFamily => "end the family".to_owned(),
        Decision::Refuse(refused) => format!("refuse: {refused:?}"),
    };
    assert_eq!(said, expected);
}

#[test]
fn the_old_key_vouches_for_the_new_one() {
    check(&family(), None, HONEST, "rotate");
    let first = Family { generation: 1, token_hash: hash_of(1), receipt: None, ..family() };
    check(&first, None, presenting(1), "rotate");
    // A restored server is behind its clients.
    check(&family(), None, presenting(CURRENT + 1), "adopt and rotate");
}

#[test]
fn nothing_but_the_old_key_vouches() {
    let by = |previous| With { previous, ..HONEST };
    check(&family(), None, by(None), "refuse: PreviousRequired");
    check(&family(), None, by(Some((THIEF, Some(NEW)))), "refuse: PreviousWrong");
    check(&family(), None, by(Some((NEW, Some(NEW)))), "refuse: PreviousWrong");
    check(&family(), None, by(Some((OLD, None))), "refuse: SuccessorNotNamed");
    check(&family(), None, by(Some((OLD, Some(OLD)))), "refuse: SuccessorNotNamed");
    // A stolen DPoP-Previous names the store's new key and not the thief's.
    check(&family(), None, With { key: THIEF, ..HONEST }, "refuse: SuccessorNotNamed");
    let same = With { key: OLD, previous: Some((OLD, Some(OLD))), ..HONEST };
    check(&family(), None, same, "refuse: SameKey");
    check(&family(), None, alone(OLD), "refuse: PreviousRequired");
    let unbound = Family { key: None, ..family() };
    check(&unbound, None, HONEST, "refuse: PreviousWrong");
}

#[test]
fn the_key_must_be_in_force_for_the_installation_too() {
    for installation in [None, Some(NEW), Some(THIEF)] {
        let with = With { installation, ..HONEST };
        check(&family(), None, with, "refuse: PreviousWrong");
    }
}

#[test]
fn a_key_in_two_places_vouches_for_nobody() {
    let with = With { in_two_places: true, ..HONEST };
    check(&family(), None, with, "refuse: KeyInTwoPlaces");
    // What it vouched for before, it has vouched for.
    check(&ended(), Some(&successor()), with, "the same answer");
}

#[test]
fn used_tokens_end_the_family() {
    for generation in [1, CURRENT - 2] {
        check(&family(), None, presenting(generation), "end the family");
    }
    let not_kept = Family { receipt: None, ..family() };
    check(&not_kept, None, presenting(CURRENT - 1), "end the family");
}

#[test]
fn a_token_whose_refresh_can_be_repeated_ends_nothing() {
    check(&family(), None, presenting(CURRENT - 1), "refuse: Overtaken");
    let same_name = With { idempotency: OTHER, ..presenting(CURRENT - 1) };
    check(&family(), None, same_name, "refuse: Overtaken");
}

#[test]
fn keys_are_judged_before_dead_or_used() {
    let thieves = [
        With { previous: Some((THIEF, Some(NEW))), ..HONEST },
        With { key: THIEF, previous: Some((THIEF, Some(THIEF))), ..HONEST },
        With { key: THIEF, previous: Some((NEW, Some(THIEF))), ..HONEST },
    ];
    let after = successor();
    for (family, successor) in [
        (family(), None),
        (ended(), None),
        (withdrawn(), None),
        (ended(), Some(&after)),
        (withdrawn(), Some(&after)),
    ] {
        for generation in [1, CURRENT - 1, CURRENT, CURRENT + 1] {
            for thief in thieves {
                let with = With { generation, ..thief };
                check(&family, successor, with, "refuse: PreviousWrong");
            }
            let with = With { generation, ..alone(THIEF) };
            check(&family, successor, with, "refuse: PreviousRequired");
            let stranger = With { generation, client: "mco_app_other", ..HONEST };
            check(&family, successor, stranger, "refuse: OtherClient");
        }
    }
}

#[test]
fn what_has_ended_gives_nothing() {
    for family in [ended(), withdrawn()] {
        for generation in [1, CURRENT - 1, CURRENT, CURRENT + 1] {
            check(&family, None, presenting(generation), "refuse: Ended");
        }
    }
}

#[test]
fn either_key_has_a_lost_answer_again() {
    let after = successor();
    // The installation has the new key by now.
    for with in [HONEST, alone(NEW), alone(OLD)] {
        let with = With { installation: Some(NEW), ..with };
        check(&ended(), Some(&after), with, "the same answer");
    }
}

#[test]
fn an_answer_is_for_the_request_that_earned_it() {
    let after = successor();
    for with in [HONEST, alone(NEW), alone(OLD)] {
        let with = With { idempotency: OTHER, ..with };
        check(&ended(), Some(&after), with, "refuse: OtherIdempotencyKey");
    }
    // The old key has no second successor.
    let another = With { key: THIEF, previous: Some((OLD, Some(THIEF))), ..HONEST };
    check(&ended(), Some(&after), another, "refuse: Ended");
}

#[test]
fn an_answer_goes_when_it_is_used_or_old() {
    let old = |seconds| Some(receipt(SENT, NOW - seconds));
    let last_moment = Family { receipt: old(RECEIPT_LIFETIME - 1), ..successor() };
    check(&ended(), Some(&last_moment), HONEST, "the same answer");
    for gone in [
        Family { generation: 2, ..successor() },
        Family { receipt: None, ..successor() },
        Family { receipt: old(RECEIPT_LIFETIME), ..successor() },
        Family { revoked_at: Some(NOW - 1), ..successor() },
        Family { grant: withdrawn().grant, ..successor() },
    ] {
        for with in [HONEST, alone(NEW), alone(OLD)] {
            check(&ended(), Some(&gone), with, "refuse: ReceiptGone");
        }
    }
}
