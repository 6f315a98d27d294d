use super::*;

const KEY: Thumbprint = Thumbprint([1; 32]);
const THIEF: Thumbprint = Thumbprint([2; 32]);
const EXPIRES: UnixTime = UnixTime(1_000_060);
const FAMILY: [u8; 16] = [7; 16];
const SENT: [u8; 32] = [3; 32];
const OTHER: [u8; 32] = [4; 32];
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "https://shop.example/callback";

/// A code nobody has redeemed, bound to the key.
fn code() -> Code {
    let grant = Grant {
        id: "grant".to_owned(),
        client_id: "mco_app_store".to_owned(),
        company_id: "company".to_owned(),
        company_name: "Company".to_owned(),
        redeemed_at: None,
        revoked_at: None,
    };
    Code {
        hash: [0; 32],
        grant,
        redirect_uri: CALLBACK.to_owned(),
        challenge: Challenge::parse(CHALLENGE).expect("a challenge"),
        scope: ScopeSet::parse("company:read").expect("a scope"),
        resource: "https://pay.example/api/partner/v1".to_owned(),
        key: Some(KEY),
        user_id: "user".to_owned(),
        expires_at: EXPIRES,
        revoked_at: None,
        redeemed: None,
    }
}

/// The code after it was redeemed at [`EXPIRES`]` - 30`, with an answer kept for `idempotency` or none.
fn redeemed(idempotency: Option<[u8; 32]>) -> Code {
    let receipt = idempotency.map(|idempotency| Receipt {
        idempotency: Some(idempotency),
        sealed: vec![1],
        kid: "kid".to_owned(),
        given_at: EXPIRES - 30,
    });
    let redeemed = Redeemed { family: FAMILY, key: Some(KEY), untouched: true, receipt };
    Code { redeemed: Some(redeemed), ..code() }
}

fn touched(mut code: Code) -> Code {
    code.redeemed.as_mut().expect("a redeemed code").untouched = false;
    code
}

fn unbound(mut code: Code) -> Code {
    code.key = None;
    code
}

fn revoked(code: Code) -> Code {
    Code { revoked_at: Some(UnixTime(1)), ..code }
}

fn withdrawn(mut code: Code) -> Code {
    code.grant.revoked_at = Some(UnixTime(1));
    code
}

/// An exchange by the right client with everything right, 30 seconds before the end.
fn honest() -> Presented<'static> {
    Presented {
        client_id: "mco_app_store",
        redirect_uri: CALLBACK,
        verifier: VERIFIER,
        key: Some(&KEY),
        idempotency: None,
        now: EXPIRES - 30,
    }
}

fn named(idempotency: &'static [u8; 32]) -> Presented<'static> {
    Presented { idempotency: Some(idempotency), ..honest() }
}

fn at(now: UnixTime, presented: Presented<'static>) -> Presented<'static> {
    Presented { now, ..presented }
}

#[track_caller]
fn check(code: &Code, presented: Presented<'_>, expected: &str) {
    let said = match decide(code, &presented) {
        Decision::Redeem => "redeem".to_owned(),
        Decision::Replay(receipt) => {
            assert_eq!(receipt.sealed, [1]);
            "the same answer".to_owned()
        }
        Decision::EndFamily(family) => {
            assert_eq!(family, FAMILY);
            "end the family".to_owned()
        }
        Decision::Refuse(refused) => format!("refuse: {refused:?}"),
    };
    assert_eq!(said, expected);
}

#[test]
fn an_honest_exchange() {
    check(&code(), honest(), "redeem");
    check(&code(), named(&SENT), "redeem");
}

#[test]
fn a_code_lives_sixty_seconds() {
    check(&code(), at(EXPIRES - 1, honest()), "redeem");
    check(&code(), at(EXPIRES, honest()), "refuse: Ended");
    check(&code(), at(EXPIRES + 1, honest()), "refuse: Ended");
}

#[test]
fn an_ended_approval_gives_nothing() {
    check(&revoked(code()), honest(), "refuse: Ended");
    check(&withdrawn(code()), honest(), "refuse: Ended");
}

/// Everything wrong with an exchange, from the first thing judged to the last. Each is given with all the later ones
/// wrong as well, and the same on a code that was redeemed, that ended, or that ended after it was redeemed.
#[test]
fn client_then_key_then_callback_then_verifier_then_used() {
    let redirected = Presented { redirect_uri: "https://shop.example/callback/", ..honest() };
    let unproved = Presented { verifier: "", ..redirected };
    let stolen = Presented { key: Some(&THIEF), ..unproved };
    let wrong = [
        (Presented { client_id: "mco_app_other", ..stolen }, "refuse: OtherClient"),
        (Presented { client_id: "mco_app_other", ..honest() }, "refuse: OtherClient"),
        (stolen, "refuse: WrongKey"),
        (Presented { key: None, ..unproved }, "refuse: WrongKey"),
        (Presented { key: Some(&THIEF), ..honest() }, "refuse: WrongKey"),
        (unproved, "refuse: OtherRedirectUri"),
        (redirected, "refuse: OtherRedirectUri"),
        (Presented { verifier: "", ..honest() }, "refuse: Pkce(MalformedVerifier)"),
        (Presented { verifier: &VERIFIER[..42], ..honest() }, "refuse: Pkce(MalformedVerifier)"),
        (
            Presented { verifier: "aBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", ..honest() },
            "refuse: Pkce(Mismatch)",
        ),
        // The challenge is public; it must not pass for the verifier.
        (Presented { verifier: CHALLENGE, ..honest() }, "refuse: Pkce(Mismatch)"),
    ];
    let codes = [
        code(),
        redeemed(None),
        redeemed(Some(SENT)),
        touched(redeemed(Some(SENT))),
        revoked(code()),
        withdrawn(redeemed(Some(SENT))),
    ];
    for code in &codes {
        for (presented, expected) in wrong {
            check(code, presented, expected);
            check(code, Presented { idempotency: Some(&SENT), ..presented }, expected);
            check(code, at(EXPIRES, presented), expected);
        }
    }
}

#[test]
fn used_twice_ends_what_it_gave() {
    check(&redeemed(None), honest(), "end the family");
    check(&redeemed(None), named(&SENT), "end the family");
    check(&redeemed(Some(SENT)), honest(), "end the family");
    check(&redeemed(Some(SENT)), named(&OTHER), "end the family");
    check(&touched(redeemed(Some(SENT))), named(&OTHER), "end the family");
    // Also long after the code itself has expired.
    check(&redeemed(None), at(EXPIRES + 3600, honest()), "end the family");
}

#[test]
fn a_lost_answer_is_had_again_for_a_day() {
    let kept = redeemed(Some(SENT));
    check(&kept, named(&SENT), "the same answer");
    let given = EXPIRES - 30;
    check(&kept, at(given + RECEIPT_LIFETIME - 1, named(&SENT)), "the same answer");
    check(&kept, at(given + RECEIPT_LIFETIME, named(&SENT)), "refuse: ReceiptGone");
}

#[test]
fn a_lost_answer_is_gone_once_it_was_used() {
    check(&touched(redeemed(Some(SENT))), named(&SENT), "refuse: ReceiptGone");
}

#[test]
fn an_unbound_code() {
    let anybody = Presented { key: None, ..honest() };
    check(&unbound(code()), anybody, "redeem");
    check(&unbound(code()), Presented { key: Some(&THIEF), ..honest() }, "redeem");
    // Redeemed with a proof, it is bound from then on.
    check(
        &unbound(redeemed(Some(SENT))),
        Presented { key: None, ..named(&SENT) },
        "refuse: WrongKey",
    );
    check(
        &unbound(redeemed(None)),
        Presented { key: Some(&THIEF), ..honest() },
        "refuse: WrongKey",
    );
    check(&unbound(redeemed(Some(SENT))), named(&SENT), "the same answer");
    // Redeemed without one, the client, the callback and the verifier still decide.
    let mut bearer = unbound(redeemed(None));
    bearer.redeemed.as_mut().expect("a redeemed code").key = None;
    check(&bearer, anybody, "end the family");
    check(&bearer, honest(), "end the family");
    check(&bearer, Presented { verifier: CHALLENGE, ..anybody }, "refuse: Pkce(Mismatch)");
}
