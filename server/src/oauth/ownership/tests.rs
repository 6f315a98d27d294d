use counterfoil_protocol::proof::Signer;

use super::*;
use crate::testing::Key;

const NOW: UnixTime = UnixTime(1_800_000_000);
const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const EXPECTED: Ownership<'static> = Ownership {
    issuer: "https://pay.example",
    client_id: "mco_app_1",
    site_url: "https://shop.example",
    nonce: NONCE,
};

fn answer(by: &impl Signer<Error = ()>, said: &Ownership<'_>) -> String {
    format!(r#"{{"proof":"{}"}}"#, said.sign(by, NOW).expect("signs"))
}

#[test]
fn what_an_answer_is_worth() {
    let (ours, other) = (Key::new(), Key::new());
    let good = answer(&ours, &EXPECTED);
    let check = |status, body: &str, truncated, now, expected| {
        let answer = (status, body.as_bytes(), truncated);
        let verdict = judge(answer, &EXPECTED, &ours.thumbprint(), now);
        assert_eq!(verdict, expected, "{status} {body}");
    };
    check(200, &good, false, NOW, Verdict::Verified);
    check(200, &good, false, NOW + 86_400, Verdict::Foreign);
    check(200, &good, true, NOW, Verdict::TooLong);
    check(200, &answer(&other, &EXPECTED), false, NOW, Verdict::Foreign);
    let nonce = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for said in [
        Ownership { nonce, ..EXPECTED },
        Ownership { site_url: "https://shop.example/blog", ..EXPECTED },
        Ownership { client_id: "mco_app_2", ..EXPECTED },
        Ownership { issuer: "https://pay.example.net", ..EXPECTED },
    ] {
        check(200, &answer(&ours, &said), false, NOW, Verdict::Foreign);
    }
    check(200, r#"{"proof":"a.b.c"}"#, false, NOW, Verdict::Foreign);
    for nothing in ["", "<html>", "[]", "{}", r#"{"proof":1}"#] {
        check(200, nothing, false, NOW, Verdict::NoAnswer);
    }
    for status in [301, 302, 307, 308] {
        check(status, &good, false, NOW, Verdict::Redirected);
    }
    for status in [201, 204, 400, 401, 403, 404, 500, 503] {
        check(status, &good, false, NOW, Verdict::NoAnswer);
    }
}

#[test]
fn how_long_a_verdict_counts() {
    let key = Thumbprint([1; 32]);
    let other = Thumbprint([2; 32]);
    let checked = |verdict| Checked {
        client_id: "mco_app_1".to_owned(),
        site_url: "https://shop.example".to_owned(),
        key,
        verdict,
        at: NOW,
    };
    for verdict in Verdict::ALL {
        let lifetime =
            if verdict == Verdict::Verified { VERIFIED_LIFETIME } else { OTHER_LIFETIME };
        let checked = checked(verdict);
        assert!(checked.counts(NOW) && checked.counts(NOW + lifetime - 1), "{verdict:?}");
        assert!(!checked.counts(NOW + lifetime), "{verdict:?}");
        assert!(checked.is_of("https://shop.example", &key));
        assert!(!checked.is_of("https://shop.example", &other));
        assert!(!checked.is_of("https://shop.example/", &key));
        assert_eq!(Verdict::of_word(verdict.word()), Some(verdict));
    }
    assert_eq!(Verdict::of_word("perhaps"), None);
}

#[test]
fn where_it_is_asked() {
    for (path, url) in [
        ("/a/b", "https://shop.example/a/b?nonce="),
        ("/?rest_route=/a", "https://shop.example/?rest_route=/a&nonce="),
    ] {
        assert_eq!(question(path, &EXPECTED), format!("{url}{NONCE}&client_id=mco_app_1"));
        assert!(is_challenge_path(path), "{path}");
    }
    for wrong in ["", "a", "@evil.example", "/a#b", "/a b", "/../a", "/a%2f", "/a:b"] {
        assert!(!is_challenge_path(wrong), "{wrong}");
    }
}
