use counterfoil_protocol::callback::LocalHosts;

use super::*;
use crate::partner::link::{LinkPatch, LinkRequest};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn link() -> PaymentLink {
    let order = r#"{"payload":{"amount":"49.90","fiatCurrency":"EUR"}}"#;
    let request = LinkRequest::parse(order, LocalHosts::Refused).expect("a request");
    request.into_link("id".to_owned(), "uid".to_owned(), "grant", NOW)
}

fn report(status: PaymentStatus) -> Report {
    Report { status, amount: None, settlement: None, session: None }
}

fn of(session: &str, status: PaymentStatus) -> Report {
    Report { session: Some(session.to_owned()), ..report(status) }
}

fn with_amount(status: PaymentStatus, amount: &str) -> Report {
    Report { amount: Amount::parse(amount), ..report(status) }
}

#[track_caller]
fn moved(link: &PaymentLink, report: Report) -> PaymentLink {
    match report.apply(link, "new".to_owned(), NOW + 5) {
        Ok(Moved::To(link)) => *link,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_follow() {
    // From the left to the top: + may follow, . may not.
    let table = "
        quoted            .++++++++++
        awaiting_deposit  ..+++++++++
        pending           ...+++++++.
        deposit_received  ....+++++..
        swapping          .....+.++..
        sending           .......++..
        underpaid         ..++++++++.
        complete          ...........
        failed            ...........
        expired           ..++..++...
        cancelled         ...........";
    let rows: Vec<_> = table.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(rows.len(), PaymentStatus::ALL.len());
    for (row, from) in rows.into_iter().zip(PaymentStatus::ALL) {
        let (name, marks) = row.trim().split_once(' ').expect("a row");
        assert_eq!(name, from.as_str());
        let marks: String = marks.split_whitespace().collect();
        assert_eq!(marks.len(), PaymentStatus::ALL.len(), "{name}");
        for (mark, to) in marks.chars().zip(PaymentStatus::ALL) {
            assert_eq!(from.next().contains(&to), mark == '+', "{name} to {}", to.as_str());
        }
    }
}

#[test]
fn words() {
    for status in PaymentStatus::ALL {
        assert_eq!(PaymentStatus::parse(status.as_str()), Some(status));
        assert_eq!(serde_json::to_value(status).expect("JSON"), status.as_str());
    }
    assert_eq!(PaymentStatus::parse("paid"), None);
}

#[test]
fn a_payment_moves_once_for_each_report() {
    let first = moved(&link(), report(Quoted));
    let session = first.latest().expect("a session");
    assert_eq!(
        (session.id.as_str(), session.status, session.previous_status),
        ("new", Quoted, None)
    );
    assert_eq!((first.version, first.updated_at), (2, NOW + 5));
    let again = report(Quoted).apply(&first, "other".to_owned(), NOW + 6);
    assert_eq!(again, Ok(Moved::Unchanged));
    let second = moved(&first, with_amount(Underpaid, "20.10"));
    let third = moved(&second, with_amount(Underpaid, "30"));
    assert_eq!(third.latest().expect("a session").amount.as_deref(), Some("30"));
    let last = moved(&third, with_amount(Complete, "49.90"));
    let session = last.latest().expect("a session");
    assert_eq!((session.id.as_str(), session.amount.as_deref()), ("new", Some("49.90")));
    assert_eq!(session.previous_status, Some(Underpaid));
    assert_eq!(report(Complete).apply(&last, String::new(), NOW), Ok(Moved::Unchanged));
    for late in [report(Sending), with_amount(Complete, "1"), report(Quoted)] {
        let to = late.status;
        let refused = late.apply(&last, String::new(), NOW);
        assert_eq!(refused, Err(MoveRefusal::Illegal { from: Complete, to }));
    }
}

#[test]
fn where_the_money_is_may_be_told_later() {
    let sent = Settlement {
        phase: SettlementPhase::Sent,
        settled_amount: Some("49.90".to_owned()),
        settled_asset: Some("ETH.USDT".to_owned()),
        classification: Some(Classification::Matched),
    };
    let complete = moved(&link(), report(Complete));
    let told = Report { settlement: Some(sent.clone()), ..report(Complete) };
    let settled = moved(&complete, told.clone());
    assert_eq!(settled.latest().expect("a session").settlement, Some(sent));
    assert_eq!(told.apply(&settled, String::new(), NOW), Ok(Moved::Unchanged));
}

#[test]
fn another_attempt_begins_when_the_last_came_to_nothing() {
    let first = moved(&link(), of("a", AwaitingDeposit));
    let other = of("b", Quoted).apply(&first, String::new(), NOW);
    let conflict = |status| MoveRefusal::OtherSession { id: "a".to_owned(), status };
    assert_eq!(other, Err(conflict(AwaitingDeposit)));
    let lost = moved(&first, of("a", Expired));
    // Late money is of the old attempt; a new price is of another.
    assert_eq!(moved(&lost, report(DepositReceived)).latest().expect("a session").id, "a");
    assert_eq!(moved(&lost, report(Quoted)).latest().expect("a session").id, "new");
    let second = moved(&lost, of("b", Quoted));
    assert_eq!(second.latest().expect("a session").id, "b");
    let paid = moved(&second, of("b", Complete));
    assert_eq!(
        of("c", Quoted).apply(&paid, String::new(), NOW),
        Err(MoveRefusal::OtherSession { id: "b".to_owned(), status: Complete })
    );
}

#[test]
fn nobody_pays_an_archived_link() {
    let patch = LinkPatch::parse(r#"{"status":"archived"}"#, LocalHosts::Refused).expect("a patch");
    let link = patch.apply(&link(), NOW).expect("archives");
    assert_eq!(report(Quoted).apply(&link, String::new(), NOW), Err(MoveRefusal::Archived));
}

#[test]
fn bodies() {
    let read = Report::parse(
        r#"{"status":"complete","amount":49.90,"sessionId":"eng-1","settlement":
           {"phase":"sent","settledAmount":"49.9","settledAsset":"USDT","classification":"matched"}}"#,
    )
    .expect("a report");
    assert_eq!(read.amount.expect("an amount").as_str(), "49.90");
    assert_eq!(read.session.as_deref(), Some("eng-1"));
    assert_eq!(read.settlement.expect("a settlement").phase, SettlementPhase::Sent);
    for (body, member) in [
        ("[]", ""),
        ("{}", "status"),
        (r#"{"status":"paid"}"#, "status"),
        (r#"{"status":1}"#, "status"),
        (r#"{"status":"complete","amount":"-1"}"#, "amount"),
        (r#"{"status":"complete","amount":"1e3"}"#, "amount"),
        (r#"{"status":"complete","amount":0}"#, "amount"),
        (r#"{"status":"complete","sessionId":"a b"}"#, "sessionId"),
        (r#"{"status":"complete","settlement":{}}"#, "settlement"),
        (r#"{"status":"complete","settlement":{"phase":"sent","more":1}}"#, "settlement"),
        (
            r#"{"status":"complete","settlement":{"phase":"sent","settledAmount":"1.","settledAsset":null,"classification":null}}"#,
            "settlement",
        ),
        (r#"{"status":"complete","more":1}"#, "more"),
    ] {
        assert_eq!(Report::parse(body).expect_err("a fault").member, member, "{body}");
    }
}
