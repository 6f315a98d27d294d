use super::*;

const OLD: Thumbprint = Thumbprint([1; 32]);
const NEW: Thumbprint = Thumbprint([2; 32]);
const THIRD: Thumbprint = Thumbprint([3; 32]);
const NOW: UnixTime = UnixTime(1_000_000);

fn home() -> Address {
    address("https://shop.example")
}

fn elsewhere() -> Address {
    address("https://new.example")
}

fn address(site_url: &str) -> Address {
    Address {
        site_url: site_url.to_owned(),
        redirect_uri: format!("{site_url}/wp-admin/admin-post.php?action=counterfoil_callback"),
    }
}

/// A store that was approved with [`OLD`] at [`home`].
fn approved() -> Installation {
    Installation {
        platform: "wordpress".to_owned(),
        site_url: home().site_url,
        redirect_uri: home().redirect_uri,
        plugin_version: "1.0.0".to_owned(),
        platform_version: None,
        key: Some(OLD),
        staged: None,
        registered_at: NOW - 10 * UNAPPROVED_LIFETIME,
        approved_at: Some(NOW - 9 * UNAPPROVED_LIFETIME),
    }
}

fn never_approved(age: i64) -> Installation {
    Installation { approved_at: None, registered_at: NOW - age, ..approved() }
}

fn reset() -> Installation {
    Installation { key: None, ..approved() }
}

fn with_staged(key: Thumbprint, moved_to: Option<Address>, age: i64) -> Installation {
    Installation { staged: Some(Staged { key, moved_to, at: NOW - age }), ..approved() }
}

fn candidate(address: Address, key: Thumbprint, previous: Option<Thumbprint>) -> Candidate {
    Candidate { address, key, previous, may_move: true }
}

#[track_caller]
fn check(
    known: Option<&Installation>,
    candidate: &Candidate,
    expected: &Result<Change, IdentityRefusal>,
) {
    assert_eq!(&decide(known, candidate, NOW), expected);
}

fn staged(key: Thumbprint, moved_to: Option<Address>) -> Change {
    Change::Stage(Staged { key, moved_to, at: NOW })
}

#[test]
fn a_store_nobody_knew_is_created() {
    check(None, &candidate(home(), NEW, None), &Ok(Change::Create));
    // A previous key that nobody registered proves nothing and harms nothing.
    check(None, &candidate(home(), NEW, Some(OLD)), &Ok(Change::Create));
}

#[test]
fn a_squatter_lapses_after_a_day() {
    let day = UNAPPROVED_LIFETIME;
    let owner = candidate(home(), NEW, None);
    check(Some(&never_approved(day - 1)), &owner, &Err(IdentityRefusal::PreviousRequired));
    check(Some(&never_approved(day)), &owner, &Ok(Change::Create));
    check(Some(&never_approved(day)), &candidate(elsewhere(), NEW, None), &Ok(Change::Create));
    check(Some(&approved()), &owner, &Err(IdentityRefusal::PreviousRequired));
    assert!(!never_approved(day - 1).has_lapsed(NOW));
    assert!(never_approved(day).has_lapsed(NOW));
    assert!(!approved().has_lapsed(NOW));
}

#[test]
fn the_key_in_force_is_proof_enough() {
    check(Some(&approved()), &candidate(home(), OLD, None), &Ok(Change::Refresh));
    check(Some(&approved()), &candidate(home(), OLD, Some(OLD)), &Ok(Change::Refresh));
    check(Some(&never_approved(1)), &candidate(home(), OLD, None), &Ok(Change::Refresh));
    // What is staged is left alone: the change names no other key.
    let waiting = with_staged(NEW, None, 1);
    check(Some(&waiting), &candidate(home(), OLD, None), &Ok(Change::Refresh));
}

#[test]
fn another_key_needs_the_one_in_force() {
    check(Some(&approved()), &candidate(home(), NEW, Some(OLD)), &Ok(staged(NEW, None)));
    check(
        Some(&approved()),
        &candidate(home(), NEW, None),
        &Err(IdentityRefusal::PreviousRequired),
    );
    // Signed by a stranger, and signed by the new key itself.
    for wrong in [THIRD, NEW] {
        check(
            Some(&approved()),
            &candidate(home(), NEW, Some(wrong)),
            &Err(IdentityRefusal::PreviousWrong),
        );
    }
    check(
        Some(&approved()),
        &candidate(home(), OLD, Some(THIRD)),
        &Err(IdentityRefusal::PreviousWrong),
    );
}

#[test]
fn a_staged_key_vouches_for_nothing() {
    let waiting = with_staged(NEW, None, 1);
    check(
        Some(&waiting),
        &candidate(home(), THIRD, Some(NEW)),
        &Err(IdentityRefusal::PreviousWrong),
    );
    check(Some(&waiting), &candidate(home(), NEW, None), &Err(IdentityRefusal::PreviousRequired));
    // The key in force replaces it, or stages it once more.
    check(Some(&waiting), &candidate(home(), THIRD, Some(OLD)), &Ok(staged(THIRD, None)));
    check(Some(&waiting), &candidate(home(), NEW, Some(OLD)), &Ok(staged(NEW, None)));
}

#[test]
fn a_store_moves_with_its_key() {
    let moved = Some(elsewhere());
    check(
        Some(&approved()),
        &candidate(elsewhere(), OLD, Some(OLD)),
        &Ok(staged(OLD, moved.clone())),
    );
    check(Some(&approved()), &candidate(elsewhere(), NEW, Some(OLD)), &Ok(staged(NEW, moved)));
    // A callback alone is an address as well.
    let callback = Address { redirect_uri: format!("{}&x", home().redirect_uri), ..home() };
    check(
        Some(&approved()),
        &candidate(callback.clone(), OLD, Some(OLD)),
        &Ok(staged(OLD, Some(callback))),
    );
}

#[test]
fn a_copy_of_a_store_is_refused() {
    let copies = [
        // Its key may have been copied too; without DPoP-Previous nobody meant to move.
        candidate(elsewhere(), OLD, None),
        candidate(elsewhere(), NEW, None),
    ];
    for copy in copies {
        check(Some(&approved()), &copy, &Err(IdentityRefusal::Mismatch));
    }
    check(
        Some(&approved()),
        &candidate(elsewhere(), NEW, Some(THIRD)),
        &Err(IdentityRefusal::PreviousWrong),
    );
}

#[test]
fn elsewhere_no_store_moves() {
    for previous in [None, Some(OLD), Some(THIRD)] {
        let stays = Candidate { may_move: false, ..candidate(elsewhere(), OLD, previous) };
        check(Some(&approved()), &stays, &Err(IdentityRefusal::Mismatch));
        check(Some(&reset()), &stays, &Err(IdentityRefusal::Mismatch));
    }
}

#[test]
fn after_a_reset_the_next_key_is_in_force_at_once() {
    for (key, previous) in [(NEW, None), (OLD, None), (NEW, Some(THIRD))] {
        check(Some(&reset()), &candidate(home(), key, previous), &Ok(Change::Rekey));
    }
    check(Some(&reset()), &candidate(elsewhere(), NEW, Some(OLD)), &Err(IdentityRefusal::Mismatch));
}

#[test]
fn a_staged_key_waits_a_day() {
    let waiting = |age| with_staged(NEW, None, age);
    assert!(waiting(STAGED_LIFETIME - 1).staged_at(NOW).is_some());
    assert!(waiting(STAGED_LIFETIME).staged_at(NOW).is_none());
    assert!(approved().staged_at(NOW).is_none());
}

#[track_caller]
fn check_slot(
    installation: &Installation,
    key: Thumbprint,
    callback: &Address,
    expected: Option<Slot>,
) {
    assert_eq!(installation.slot(&key, &callback.redirect_uri, NOW), expected);
}

#[test]
fn a_request_speaks_for_a_key_at_its_callback() {
    check_slot(&approved(), OLD, &home(), Some(Slot::Current));
    check_slot(&approved(), NEW, &home(), None);
    check_slot(&approved(), OLD, &elsewhere(), None);
    check_slot(&reset(), OLD, &home(), None);

    let waiting = with_staged(NEW, None, STAGED_LIFETIME - 1);
    check_slot(&waiting, OLD, &home(), Some(Slot::Current));
    check_slot(&waiting, NEW, &home(), Some(Slot::Staged));
    check_slot(&waiting, NEW, &elsewhere(), None);
    check_slot(&waiting, THIRD, &home(), None);
    check_slot(&with_staged(NEW, None, STAGED_LIFETIME), NEW, &home(), None);
}

#[test]
fn a_moving_store_has_two_callbacks() {
    let moving = with_staged(OLD, Some(elsewhere()), 1);
    check_slot(&moving, OLD, &home(), Some(Slot::Current));
    check_slot(&moving, OLD, &elsewhere(), Some(Slot::Staged));

    let moving_with_a_new_key = with_staged(NEW, Some(elsewhere()), 1);
    check_slot(&moving_with_a_new_key, OLD, &home(), Some(Slot::Current));
    check_slot(&moving_with_a_new_key, NEW, &elsewhere(), Some(Slot::Staged));
    check_slot(&moving_with_a_new_key, NEW, &home(), None);
    check_slot(&moving_with_a_new_key, OLD, &elsewhere(), None);

    let too_late = with_staged(OLD, Some(elsewhere()), STAGED_LIFETIME);
    check_slot(&too_late, OLD, &elsewhere(), None);
    check_slot(&too_late, OLD, &home(), Some(Slot::Current));
}
