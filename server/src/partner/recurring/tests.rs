use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);
const MONTHLY: &str = r#"{"customerId":"c","amount":"9.90","currency":"EUR","interval":"month"}"#;

fn read(text: &str) -> Result<RecurringRequest, String> {
    RecurringRequest::parse(text, None).map_err(|fault| fault.member)
}

fn made(text: &str) -> Recurring {
    read(text).expect("a request").into_recurring("s".to_owned(), "co", NOW)
}

#[test]
fn requests() {
    let with = |from: &str, to: &str| {
        let text = MONTHLY.replace(from, to);
        assert_ne!(text, MONTHLY);
        read(&text).map(drop)
    };
    let refused = |member: &str| Err(member.to_owned());
    assert_eq!(read(MONTHLY).map(drop), Ok(()));
    assert_eq!(with("EUR", "eur"), Ok(()));
    assert_eq!(with("EUR", "XQX"), refused("currency"));
    assert_eq!(with(r#","currency":"EUR""#, ""), refused("currency"));
    assert_eq!(with("9.90", "9.900"), refused("amount"));
    assert_eq!(with("EUR", "JPY"), refused("amount"));
    assert_eq!(with("EUR", "BHD"), Ok(()));
    assert_eq!(with(r#""amount":"9.90","#, ""), refused("amount"));
    assert_eq!(with(r#""9.90""#, "9.9"), Ok(()));
    assert_eq!(with(r#""9.90""#, "-9.9"), refused("amount"));
    assert_eq!(with("month", "fortnight"), refused("interval"));
    assert_eq!(with(r#","interval":"month""#, ""), refused("interval"));
    assert_eq!(with(r#""customerId":"c","#, ""), refused("customerId"));
    for (count, good) in
        [("1", true), ("366", true), ("0", false), ("367", false), ("1.5", false), ("\"1\"", false)]
    {
        let expected = if good { Ok(()) } else { refused("intervalCount") };
        assert_eq!(with("}", &format!(r#","intervalCount":{count}}}"#)), expected, "{count}");
    }
    for (date, good) in
        [("2027-02-01", true), ("1999-12-31", false), ("2100-01-01", false), ("x", false)]
    {
        let expected = if good { Ok(()) } else { refused("startDate") };
        assert_eq!(with("}", &format!(r#","startDate":"{date}"}}"#)), expected, "{date}");
    }
    assert_eq!(with("}", r#","status":"paused"}"#), refused("status"));
    assert_eq!(with("}", r#","id":"x"}"#), refused("id"));
}

#[test]
fn the_companys_currency_stands_in() {
    let text = r#"{"customerId":"c","amount":"9","interval":"year"}"#;
    let request = RecurringRequest::parse(text, Some("JPY")).expect("a request");
    assert_eq!(request.into_recurring("s".to_owned(), "co", NOW).currency, "JPY");
}

#[test]
fn next_dates() {
    let due = |recurring: &Recurring| recurring.next_payment(NOW).map(|date| date.to_string());
    let mut one = made(MONTHLY);
    assert_eq!(due(&one).as_deref(), Some("2027-01-15"));
    one.anchor = calendar::parse("2026-12-31").expect("a date");
    assert_eq!(due(&one).as_deref(), Some("2027-01-31"));
    for status in [Standing::Paused, Standing::Cancelled] {
        assert_eq!(due(&Recurring { status, ..one.clone() }), None);
    }
}

#[test]
fn changes() {
    let one = made(MONTHLY);
    let change = |known: &Recurring, text: &str| {
        let patch = RecurringPatch::parse(text).map_err(RecurringRefusal::Member)?;
        patch.apply(known, NOW + 5)
    };
    let member = |result: Result<Recurring, RecurringRefusal>| match result {
        Err(RecurringRefusal::Member(fault)) => fault.member,
        other => panic!("{other:?}"),
    };
    let changed =
        change(&one, r#"{"amount":"12","status":"paused","description":"x","metadata":{"a":1}}"#)
            .expect("a change");
    assert_eq!((changed.amount.as_str(), changed.status), ("12", Standing::Paused));
    assert_eq!((changed.version, changed.updated_at), (2, NOW + 5));
    let resumed = change(
        &changed,
        r#"{"status":"active","description":null,"nextPaymentDate":"2027-02-28"}"#,
    )
    .expect("a change");
    assert_eq!(resumed.description, None);
    assert_eq!(resumed.metadata, changed.metadata);
    assert_eq!(resumed.next_payment(NOW), calendar::parse("2027-02-28"));
    assert_eq!(member(change(&one, r#"{"nextPaymentDate":"2027-01-14"}"#)), "nextPaymentDate");
    assert_eq!(member(change(&one, r#"{"amount":"1.001"}"#)), "amount");
    assert_eq!(member(change(&one, r#"{"currency":"USD"}"#)), "currency");
    assert_eq!(member(change(&one, r#"{"status":"ended"}"#)), "status");
    let gone = change(&one, r#"{"status":"cancelled"}"#).expect("a change");
    assert_eq!(change(&gone, r#"{"status":"active"}"#), Err(RecurringRefusal::Cancelled));
}
