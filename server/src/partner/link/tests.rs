use super::{patch::ArchiveRefusal, *};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn request(body: &str, local: LocalHosts) -> Result<LinkRequest, String> {
    LinkRequest::parse(body, local).map_err(|fault| fault.member)
}

#[track_caller]
fn check(body: &str, fault: Option<&str>) {
    let refused = request(body, LocalHosts::Refused).err();
    assert_eq!(refused.as_deref(), fault, "{body}");
}

#[test]
fn what_a_request_may_say() {
    check(r#"{"payload":{"amount":"1","fiatCurrency":"EUR"}}"#, None);
    check(r#"{"payload":{"amount":1.50,"currency":"BTC"}}"#, None);
    check(r#"{"payload":{"amount":"1","asset":"BTC.BTC"},"status":"active","unknown":[1]}"#, None);
    check(r#"{"payload":{"amount":"1","fiatCurrency":"eur","title":null,"label":""}}"#, None);
    check(
        r#"{"payload":{"amount":"1","currency":"X","returnUrl":"https://a.example/?b=c#/d"}}"#,
        None,
    );
    check(r#"{"payload":{"amount":"1","currency":"X","metadata":{}},"settlement":null}"#, None);

    check("{}", Some("payload"));
    check(r#"{"payload":null}"#, Some("payload"));
    check(r#"{"payload":"x"}"#, Some("payload"));
    check(r#"{"payload":[]}"#, Some("payload"));
    check(r#"{"payload":{}}"#, Some("payload.amount"));
    for amount in ["null", "0", "-1", "true", "[]", "\"\"", "\"1,5\"", "\"1e3\""] {
        check(
            &format!(r#"{{"payload":{{"amount":{amount},"currency":"X"}}}}"#),
            Some("payload.amount"),
        );
    }
    check(r#"{"payload":{"amount":"1"}}"#, Some("payload.fiatCurrency"));
    for (name, value) in [
        ("fiatCurrency", "\"EURO\""),
        ("fiatCurrency", "\"E1R\""),
        ("fiatCurrency", "7"),
        ("currency", "\"B C\""),
        ("asset", "\"<b>\""),
        ("title", "7"),
        ("title", "\"\\u0000\""),
        ("orderId", "{}"),
        ("metadata", "[]"),
        ("metadata", "\"x\""),
        ("returnUrl", "\"javascript:alert(1)\""),
        ("returnUrl", "\"http://a.example/\""),
        ("returnUrl", "\"/relative\""),
        ("successUrl", "\"https://u:p@a.example/\""),
        ("failureUrl", "7"),
        ("returnRedirectUrl", "\"data:text/html,x\""),
        ("webhookUrl", "\"https://10.0.0.1/\""),
        ("webhookUrl", "\"https://a.example/#x\""),
    ] {
        let body = format!(r#"{{"payload":{{"amount":"1","asset":"X","{name}":{value}}}}}"#);
        check(&body, Some(&format!("payload.{name}")));
    }
    check(r#"{"payload":{"amount":"1","currency":"X"},"status":"archived"}"#, Some("status"));
    check(r#"{"payload":{"amount":"1","currency":"X"},"settlement":[]}"#, Some("settlement"));
    check(
        r#"{"payload":{"amount":"1","currency":"X"},"sendPaymentRequestEmail":"no"}"#,
        Some("sendPaymentRequestEmail"),
    );
}

#[test]
fn loopback_where_it_is_accepted() {
    let body = r#"{"payload":{"amount":"1","currency":"X","returnUrl":"http://localhost:9000/r","webhookUrl":"http://127.0.0.1:1/w"}}"#;
    assert!(request(body, LocalHosts::Accepted).is_ok());
    assert_eq!(request(body, LocalHosts::Refused), Err("payload.webhookUrl".to_owned()));
}

fn link(body: &str) -> PaymentLink {
    let request = LinkRequest::parse(body, LocalHosts::Refused).expect("a request");
    request.into_link("id".to_owned(), "pl_1".to_owned(), "grant-1", NOW)
}

#[test]
fn what_is_shown() {
    let body = r#"{"payload":{"amount":12345678901234567890.10,"fiatCurrency":"eur","n": 0.10000000000000000001,"metadata":{"z":1.50,"a":2}}}"#;
    let link = link(body);
    let shown = serde_json::to_string(&link.view("https://pay.example")).expect("JSON");
    for part in [
        r#""publicUrl":"https://pay.example/payment/pl_1""#,
        r#""status":"active""#,
        r#""amount":"12345678901234567890.10""#,
        r#""fiatAmount":"12345678901234567890.10""#,
        r#""fiatCurrency":"EUR""#,
        r#""currency":null"#,
        r#""metadata":{"z":1.50,"a":2}"#,
        r#""n": 0.10000000000000000001"#,
        r#""latestSession":null"#,
        r#""timelineEvents":[]"#,
        r#""createdAt":"2027-01-15T08:00:00Z""#,
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("rant"), "{shown}");
}

#[test]
fn what_a_patch_may_say() {
    let check = |body: &str, fault: Option<&str>| {
        let refused = LinkPatch::parse(body, LocalHosts::Refused).err().map(|fault| fault.member);
        assert_eq!(refused.as_deref(), fault, "{body}");
    };
    check(r#"{"status":"archived"}"#, None);
    check(r#"{"metadata":{"a":1},"returnUrl":null}"#, None);
    check("{}", Some("status"));
    check(r#"{"status":null}"#, Some("status"));
    check(r#"{"status":"active"}"#, Some("status"));
    check(r#"{"status":1}"#, Some("status"));
    check(r#"{"amount":"2"}"#, Some("amount"));
    check(r#"{"status":"archived","payload":{}}"#, Some("payload"));
    check(r#"{"metadata":[]}"#, Some("metadata"));
    check(r#"{"successUrl":"javascript:x"}"#, Some("successUrl"));
}

#[test]
fn patches() {
    let before = link(
        r#"{"payload":{"amount":"1","currency":"X","returnUrl":"https://a.example/1","failureUrl":"https://a.example/2"}}"#,
    );
    let patch = |body: &str| LinkPatch::parse(body, LocalHosts::Refused).expect("a patch");
    let body = r#"{"returnUrl":null,"successUrl":"https://a.example/3","metadata":{"a":1}}"#;
    let after = patch(body).apply(&before, NOW + 5).expect("applies");
    assert_eq!(after.facts.return_url, None);
    assert_eq!(after.facts.success_url.as_deref(), Some("https://a.example/3"));
    assert_eq!(after.facts.failure_url, before.facts.failure_url);
    assert_eq!(after.metadata.as_str(), r#"{"a":1}"#);
    assert_eq!((after.updated_at, after.version), (NOW + 5, before.version + 1));
    assert_eq!((after.created_at, &after.payload), (before.created_at, &before.payload));

    let archive = || patch(r#"{"status":"archived"}"#);
    let archived = archive().apply(&before, NOW).expect("archives");
    assert_eq!(archived.status, LinkStatus::Archived);
    assert_eq!(archive().apply(&archived, NOW), Err(ArchiveRefusal::AlreadyArchived));
    assert_eq!(patch(body).apply(&archived, NOW), Err(ArchiveRefusal::AlreadyArchived));
    let paid = PaymentLink { session: Some(Json::empty_object()), ..before };
    assert_eq!(archive().apply(&paid, NOW), Err(ArchiveRefusal::HasSession));
    assert!(patch(body).apply(&paid, NOW).is_ok());
}
