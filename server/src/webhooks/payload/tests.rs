use counterfoil_protocol::callback::LocalHosts;

use super::*;
use crate::partner::{
    event::Patterns,
    link::LinkRequest,
    payment::{Moved, PaymentStatus, Report},
    subscription::SealedSecret,
};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn link() -> PaymentLink {
    let order = r#"{"payload":{"amount":"49.90","fiatCurrency":"eur","orderId":"7","metadata":
        {"medusaSessionId":"ps_1","medusaOrderId":"order_1","medusaProviderId":"makepay","n":1.50,"big":12345678901234567890123}}}"#;
    let request = LinkRequest::parse(order, LocalHosts::Refused).expect("a request");
    let link = request.into_link("id".to_owned(), "pl_1".to_owned(), "grant", NOW);
    moved(&link, PaymentStatus::Quoted)
}

fn moved(link: &PaymentLink, status: PaymentStatus) -> PaymentLink {
    let report = Report { status, amount: None, settlement: None, session: None };
    match report.apply(link, "mpsess_1".to_owned(), NOW) {
        Ok(Moved::To(link)) => *link,
        other => panic!("{other:?}"),
    }
}

fn endpoint(kind: EndpointKind, platform: Option<&str>) -> Endpoint {
    Endpoint {
        id: "mpwhsub_1".to_owned(),
        kind,
        client_id: "mco_app_1".to_owned(),
        native: platform.is_some(),
        platform: platform.map(str::to_owned),
        grant_id: Some("grant".to_owned()),
        company_id: "company".to_owned(),
        url: "https://shop.example/hook".to_owned(),
        events: Patterns::of(&EventKind::ALL),
        active: true,
        description: String::new(),
        secret: SealedSecret { sealed: Vec::new(), last4: "abcd".to_owned() },
        previous: None,
        failing_since: None,
        disabled_reason: None,
        created_at: NOW,
        updated_at: NOW,
        stands: true,
    }
}

fn seed(id: &str) -> Seed {
    Seed { id: id.to_owned(), checkout_base: "https://pay.example".to_owned() }
}

fn status_changed(link: &PaymentLink) -> Happening<'_> {
    let grant = Some(("grant", "company"));
    Happening { kind: EventKind::StatusChanged, link: Some(link), grant, at: NOW }
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn medusa_takes_exactly_these_members() {
    let link = link();
    let medusa = endpoint(EndpointKind::Subscription, Some("medusa"));
    let payload = write(status_changed(&link), &seed("a"), &medusa);
    let body: Value = serde_json::from_str(&of_attempt(&payload.body, "d-1")).expect("JSON");
    assert_eq!(
        keys(&body),
        [
            "companyId",
            "createdAt",
            "deliveryGroupId",
            "deliveryId",
            "grantId",
            "installationId",
            "paymentLink",
            "schemaVersion",
            "session",
            "status",
            "subscriptionId",
            "type"
        ]
    );
    assert_eq!(body["deliveryId"], "d-1");
    assert_eq!(body["deliveryGroupId"], payload.group_id.as_str());
    assert_eq!(body["createdAt"], "2027-01-15T08:00:00.000Z");
    assert_eq!(
        body["paymentLink"],
        json!({
            "uid": "pl_1", "fiatAmount": "49.90", "fiatCurrency": "EUR",
            "metadata": {
                "medusaSessionId": "ps_1", "medusaOrderId": "order_1", "medusaOrderDisplayId": null,
                "medusaProviderId": "makepay",
            },
        })
    );
    assert_eq!(body["session"], json!({ "id": "mpsess_1", "settlement": null }));
    assert_eq!(
        event_header(&medusa, "makepay.payment.status_changed"),
        "makepay.payment.status_changed"
    );
}

#[test]
fn others_are_told_more_and_nothing_is_rounded() {
    let link = link();
    let shop = endpoint(EndpointKind::Subscription, Some("wordpress"));
    let payload = write(status_changed(&link), &seed("a"), &shop);
    let text = of_attempt(&payload.body, "d-1");
    assert!(text.contains(r#""n":1.50,"big":12345678901234567890123"#), "{text}");
    let body: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (body["status"].as_str(), body["session"]["status"].as_str()),
        (Some("quoted"), Some("quoted"))
    );
    assert_eq!(body["subscriptionId"], "mpwhsub_1");
    assert_eq!(body["installationId"], "mco_app_1");
    assert_eq!(body["paymentLink"]["merchantOrderId"], "7");
    assert_eq!(body["paymentLink"]["publicUrl"], "https://pay.example/payment/pl_1");
    assert_eq!(body["event"], json!({ "type": "status_changed", "trigger": "payment_status" }));
    assert_eq!(event_header(&shop, "makepay.payment.status_changed"), "status_changed");
    let app = write(status_changed(&link), &seed("a"), &endpoint(EndpointKind::Application, None));
    let app: Value = serde_json::from_str(&app.body).expect("JSON");
    assert_eq!(app["endpointId"], "mpwhsub_1");
    assert!(app.get("installationId").is_none() && app.get("subscriptionId").is_none());
}

#[test]
fn a_group_is_of_one_status_at_one_place() {
    let quoted = link();
    let pending = moved(&quoted, PaymentStatus::Pending);
    let shop = endpoint(EndpointKind::Subscription, Some("wordpress"));
    let elsewhere = Endpoint { url: "https://shop.example/other".to_owned(), ..shop.clone() };
    let group = |happening, name, endpoint| write(happening, &seed(name), endpoint).group_id;
    let first = group(status_changed(&quoted), "a", &shop);
    assert_eq!(first.len(), "mpwhgrp_".len() + 64);
    let later = Happening { at: NOW + 9, ..status_changed(&quoted) };
    assert_eq!(group(later, "b", &shop), first);
    assert_ne!(group(status_changed(&pending), "a", &shop), first);
    assert_ne!(group(status_changed(&quoted), "a", &elsewhere), first);
    let test = Happening { kind: EventKind::Test, link: None, grant: None, at: NOW };
    assert_ne!(group(test, "a", &shop), group(test, "b", &shop));
}
