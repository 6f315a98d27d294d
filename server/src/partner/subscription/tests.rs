use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn parse(body: &str, local: LocalHosts) -> Result<SubscriptionRequest, &'static str> {
    SubscriptionRequest::parse(body, local).map_err(|fault| fault.code())
}

#[test]
fn what_a_request_may_say() {
    let full = r#"{"active":false,"description":"Shop","events":["makepay.payment.*"],"metadata":{"a":1},"rotateSecret":true,"url":"https://shop.example/hooks?x=1"}"#;
    let expected = SubscriptionRequest {
        member: "url",
        url: "https://shop.example/hooks?x=1".to_owned(),
        events: Patterns::parse(vec!["makepay.payment.*".to_owned()]).expect("patterns"),
        active: false,
        description: "Shop".to_owned(),
        metadata: Json::parse(r#"{"a":1}"#.to_owned()).expect("JSON"),
        rotate_secret: true,
    };
    assert_eq!(parse(full, LocalHosts::Refused), Ok(expected));
    for name in URL_MEMBERS {
        let body = format!(r#"{{"{name}":"https://shop.example/"}}"#);
        let request = parse(&body, LocalHosts::Refused).expect("a request");
        assert!(request.active && !request.rotate_secret);
        assert_eq!(request.events.as_slice(), [DEFAULT_EVENTS]);
    }
    let many = format!(r#"{{"url":"https://a.example","events":[{}"*"]}}"#, "\"*\",".repeat(32));
    for (body, code) in [
        ("{}", "missing_callback_url"),
        (r#"{"url":null}"#, "missing_callback_url"),
        (r#"{"url":""}"#, "missing_callback_url"),
        (r#"{"url":7}"#, "invalid_callback_url"),
        (r#"{"url":"http://shop.example/"}"#, "invalid_callback_url"),
        (r#"{"url":"http://localhost/"}"#, "invalid_callback_url"),
        (r#"{"url":"https://169.254.169.254/"}"#, "invalid_callback_url"),
        (r#"{"url":"https://shop.example/#x"}"#, "invalid_callback_url"),
        (r#"{"url":"ftp://shop.example/"}"#, "invalid_callback_url"),
        (r#"{"url":"https://a.example","events":[]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","events":"x"}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","events":[""]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","events":["a b"]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","events":["*",7]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","events":["payment.*"]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","active":"yes"}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","metadata":[]}"#, "invalid_webhook_subscription"),
        (r#"{"url":"https://a.example","rotateSecret":1}"#, "invalid_webhook_subscription"),
        (many.as_str(), "invalid_webhook_subscription"),
    ] {
        assert_eq!(parse(body, LocalHosts::Refused), Err(code), "{body}");
    }
    assert!(parse(r#"{"url":"http://localhost:9000/"}"#, LocalHosts::Accepted).is_ok());
}

#[test]
fn a_subscription_keeps_its_id() {
    let request = |more: &str| {
        let body = format!(r#"{{"url":"https://shop.example/"{more}}}"#);
        parse(&body, LocalHosts::Refused).expect("a request")
    };
    let secret =
        |text: &str| SealedSecret { sealed: text.as_bytes().to_vec(), last4: text.to_owned() };
    assert!(request("").needs_secret(None));
    let first = request("").apply(None, "one".to_owned(), "grant", secret("aaaa"), NOW);
    assert_eq!((first.id.as_str(), first.version), ("one", 1));
    assert!(!request("").needs_secret(Some(&first)));
    let rotating = request(r#","rotateSecret":true"#);
    assert!(rotating.needs_secret(Some(&first)));
    let disabled = first.clone().disabled(NOW + 1);
    assert!(!disabled.active);
    assert_eq!(disabled.secret, first.secret);
    let next = rotating.apply(Some(&disabled), "two".to_owned(), "grant", secret("bbbb"), NOW + 2);
    assert_eq!((next.id.as_str(), next.version, next.active), ("one", 3, true));
    assert_eq!((next.created_at, next.updated_at), (NOW, NOW + 2));
    let shown = serde_json::to_value(next.view()).expect("JSON");
    assert_eq!(shown["secretLast4"], "bbbb");
    assert_eq!(shown["status"], "active");
    assert!(shown.get("secret").is_none());
}
