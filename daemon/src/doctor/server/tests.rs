use serde_json::json;

use super::*;
use crate::{doctor::Level, trouble::Code};

const NOW: UnixTime = UnixTime(1_800_000_000);
const ISSUER: &str = "https://pay.example";

fn config() -> Config {
    Config::parse(
        "platform = \"medusa\"\nissuer = \"https://pay.example\"\n\
         site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"\n",
    )
    .expect("a store")
}

fn good() -> Exchange {
    let metadata = json!({
        "issuer": ISSUER,
        "authorization_response_iss_parameter_supported": true,
        "authorization_endpoint": "https://pay.example/oauth/authorize",
        "token_endpoint": "https://pay.example/oauth/token",
        "jwks_uri": "https://pay.example/oauth/jwks.json",
        "native_installation_endpoint": "https://pay.example/oauth/native/installations",
    });
    Exchange {
        status: 200,
        location: None,
        certificate: Some(Certificate { issuer: None, ends_at: NOW + ENDS_SOON + 1 }),
        metadata: metadata.as_object().cloned(),
        offset: Some(0),
        took: Duration::from_millis(20),
    }
}

#[track_caller]
fn check(
    change: impl FnOnce(&mut Exchange),
    live: Option<&Value>,
    expected: &[(&str, Level, &str)],
) {
    let mut exchange = good();
    change(&mut exchange);
    let seen = Seen { name: None, exchange: Ok(exchange), proxy_in_environment: None };
    let findings = judge(&seen, &config(), live, NOW);
    let bad: Vec<_> = findings.iter().filter(|it| it.level != Level::Ok).collect();
    assert_eq!(bad.len(), expected.len(), "{bad:?}");
    for (finding, (name, level, step)) in bad.iter().zip(expected) {
        assert_eq!((finding.check, finding.level), (*name, *level));
        let next_step = finding.next_step.as_deref().expect("a next step");
        assert!(next_step.contains(step), "{step} in {next_step}");
    }
}

#[test]
fn a_platform_that_answers_as_it_should_is_in_order() {
    check(|_| {}, None, &[]);
}

#[test]
fn a_redirect_names_the_address_to_set() {
    for (location, step) in [
        (Some("https://www.pay.example/.well-known/x"), "issuer = \"https://www.pay.example\""),
        (Some("https://pay.example/elsewhere"), "platform's support"),
        (Some("/elsewhere"), "platform's support"),
        (None, "platform's support"),
    ] {
        let change = |exchange: &mut Exchange| {
            exchange.status = 308;
            exchange.location = location.map(str::to_owned);
            exchange.metadata = None;
        };
        check(change, None, &[("htu", Level::Problem, step)]);
    }
}

#[test]
fn a_description_that_is_not_acceptable_is_a_problem() {
    let other = |issuer: &'static str| {
        move |exchange: &mut Exchange| {
            if let Some(metadata) = &mut exchange.metadata {
                metadata.insert("issuer".to_owned(), issuer.into());
            }
        }
    };
    check(
        other("https://www.pay.example"),
        None,
        &[("discovery", Level::Problem, "issuer = \"https://www.pay.example\"")],
    );
    check(other("javascript:"), None, &[("discovery", Level::Problem, "Check issuer")]);
    check(|it| it.metadata = None, None, &[("discovery", Level::Problem, "curl -i")]);
    check(|it| it.status = 404, None, &[("discovery", Level::Problem, "curl -i")]);
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let ends = |ends_at| {
        move |exchange: &mut Exchange| {
            exchange.certificate = Some(Certificate { issuer: None, ends_at });
        }
    };
    check(ends(NOW + ENDS_SOON), None, &[("tls", Level::Warning, "support")]);
    check(|it| it.certificate = None, None, &[]);
}

#[test]
fn refused_proofs_are_another_address_only_where_the_clocks_agree() {
    let live = json!({ "last_error": { "code": "proof_refused" } });
    check(|_| {}, Some(&live), &[("htu", Level::Problem, "issuer and api_base")]);
    check(|it| it.offset = Some(400), Some(&live), &[]);
    let other = json!({ "last_error": { "code": "server_unreachable" } });
    check(|_| {}, Some(&other), &[]);
}

#[test]
fn names_and_silence_are_told_with_a_command() {
    let name = |addresses, ms| Name {
        host: "pay.example".to_owned(),
        addresses,
        took: Duration::from_millis(ms),
    };
    assert_eq!(judge_name(&name(Ok((1, 1)), 5)).level, Level::Ok);
    assert_eq!(judge_name(&name(Ok((1, 0)), 2_000)).level, Level::Warning);
    assert_eq!(judge_name(&name(Err("no such name".to_owned()), 5)).level, Level::Problem);
    let untrusted = Unanswered::Untrusted(Code::ServerCertificateUnknown, "by nobody".to_owned());
    let network = Unanswered::Network(Code::ServerConnectionRefused, "refused".to_owned());
    let refused = Unanswered::Proxy("407".to_owned());
    for (why, proxy, check, step) in [
        (&network, None, "platform", "curl -I https://pay.example"),
        (&network, Some("HTTPS_PROXY"), "platform", "set proxy"),
        (&untrusted, Some("HTTPS_PROXY"), "tls", "ca_file"),
        (&refused, None, "proxy", "proxy_credentials_file"),
    ] {
        let finding = unreachable(why, &config(), proxy);
        assert_eq!((finding.check, finding.level), (check, Level::Problem));
        assert!(finding.next_step.expect("a next step").contains(step), "{why}");
    }
}
