use counterfoil_protocol::encoding::hex;

use super::*;

/// Two events of a connection and one of nobody's, chained.
fn trail(length: i64) -> Vec<AuditRecord> {
    let mut records: Vec<AuditRecord> = Vec::new();
    for id in 1..=length {
        let actor = match id % 4 {
            1 => Actor::User("ann".to_owned()),
            2 => Actor::Client("mco_app_x".to_owned()),
            3 => Actor::Operator("root".to_owned()),
            _ => Actor::System,
        };
        let event = AuditEvent::new(UnixTime(1_800_000_000 + id), "approved", &actor)
            .client("mco_app_x")
            .company("acme")
            .detail("é \"quoted\"\n\u{1}");
        let previous = records.last().map_or([0; 32], |record| record.hash);
        records.push(AuditRecord::of(&event, id, previous));
    }
    records
}

fn walk(records: &[AuditRecord]) -> Result<Option<i64>, Broken> {
    let mut chain = Chain::default();
    for record in records {
        chain.take(record)?;
    }
    Ok(chain.end()?.map(|(id, _)| id))
}

/// Made with Python: `hashlib.sha256(json.dumps([…], ensure_ascii=False, separators=(",", ":")).encode())`.
#[test]
fn vectors() {
    let actor = Actor::Operator("root".to_owned());
    let bare = AuditRecord::of(&AuditEvent::new(UnixTime(0), "x", &actor), 1, [0; 32]);
    let full = &trail(2)[0];
    let follows = &trail(2)[1];
    for (record, expected) in [
        (&bare, "538486574ae07eeb58752d07ff462513ce7c5f68ebc41960caa3718f92f01ea3"),
        (full, "f1dd1522f36ecc60c2ae3ed8ffc1fedd2d9286d5329d39d3ace7aa046a2b384a"),
        (follows, "7eef0bc7e5a2b1654975d1ca7697ac76958eb00c912474b85d517c761ea72b47"),
    ] {
        assert_eq!(hex(&record.hash), expected, "{}", record.canonical());
    }
}

#[test]
fn a_whole_trail() {
    assert_eq!(walk(&[]), Ok(None));
    assert_eq!(walk(&trail(1)), Ok(Some(1)));
    assert_eq!(walk(&trail(9)), Ok(Some(9)));
}

/// What somebody does to a record.
type Change = fn(&mut AuditRecord);

#[test]
fn every_member_of_a_record_counts() {
    let changes: [(&str, Change); 8] = [
        ("at", |r| r.at = UnixTime(0)),
        ("event", |r| r.event.push('s')),
        ("actor", |r| r.actor = Actor::System.to_string()),
        ("client", |r| r.client_id = None),
        ("company", |r| r.company_id = Some(String::new())),
        ("subject", |r| r.subject = Some(String::new())),
        ("detail", |r| r.detail.clear()),
        ("hash", |r| r.hash[31] ^= 1),
    ];
    for (name, change) in changes {
        for at in [0, 4, 8] {
            let mut records = trail(9);
            change(&mut records[at]);
            let id = records[at].id;
            assert_eq!(walk(&records), Err(Broken::Changed { id }), "{name}");
        }
    }
}

#[test]
fn a_record_that_is_rewritten_with_its_hash_does_not_carry_the_next() {
    let mut records = trail(9);
    records[4].detail.clear();
    records[4].hash = records[4].true_hash();
    assert_eq!(walk(&records), Err(Broken::Unlinked { id: 6 }));
    records[0].previous = [1; 32];
    assert_eq!(walk(&records), Err(Broken::Unlinked { id: 1 }));
}

#[test]
fn what_is_taken_out_or_moved() {
    let mut records = trail(9);
    records.remove(4);
    assert_eq!(walk(&records), Err(Broken::Missing { id: 5, found: 6 }));
    // Renumbered so that no gap shows.
    for record in &mut records[4..] {
        record.id -= 1;
    }
    assert_eq!(walk(&records), Err(Broken::Unlinked { id: 5 }));

    let mut records = trail(9);
    records.swap(3, 4);
    assert_eq!(walk(&records), Err(Broken::Missing { id: 4, found: 5 }));
    let (a, b) = (records[3].id, records[4].id);
    (records[3].id, records[4].id) = (b, a);
    assert_eq!(walk(&records), Err(Broken::Unlinked { id: 4 }));
}

#[test]
fn a_beginning_that_was_cut_off_must_be_accounted_for() {
    let mut records = trail(9);
    let rest = records.split_off(4);
    let (cut, rest_hash) = (&records[3], rest[4].hash);
    assert_eq!(walk(&rest), Err(Broken::Beheaded { id: 5 }));
    let account = |id: &str, hash: &[u8]| {
        let detail = hex(hash);
        let event = AuditEvent::new(UnixTime(2_000_000_000), CUT, &Actor::System);
        AuditRecord::of(&event.subject(id).detail(&detail), 10, rest_hash)
    };
    let with = |record| [rest.clone(), vec![record]].concat();
    assert_eq!(walk(&with(account("4", &cut.hash))), Ok(Some(10)));
    assert_eq!(walk(&with(account("3", &cut.hash))), Err(Broken::Beheaded { id: 5 }));
    assert_eq!(walk(&with(account("4", &rest_hash))), Err(Broken::Beheaded { id: 5 }));
}

#[test]
fn events_that_end_something() {
    let is_an_end = |event: &str| {
        AuditRecord::of(&AuditEvent::new(UnixTime(0), event, &Actor::System), 1, [0; 32])
            .is_an_end()
    };
    for end in
        ["reset", "released", "grant_ended", "company_closed", "user_disabled", "key_rotated"]
    {
        assert!(is_an_end(end), "{end}");
    }
    for other in ["approved", "recovered", "code_redeemed", "adopted", "audit_cut", "backed_up"] {
        assert!(!is_an_end(other), "{other}");
    }
}
