//! Whose store it is: what is signed for a challenge, and for which there is nothing to say.

use super::*;

/// 256 bits.
const NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the session knows, nonce and client id, and the refusal.
type Row = (fn() -> Facts, &'static str, &'static str, Option<Code>);

#[test]
fn only_our_own_form_is_signed_and_only_for_our_own_store() {
    let world = World::default();
    let table: [Row; 10] = [
        (samples::registered, NONCE, "mco_app_1", None),
        (samples::awaiting, NONCE, "mco_app_1", None),
        (samples::connected, NONCE, "mco_app_1", None),
        (Facts::default, NONCE, "mco_app_1", Some(Code::OwnershipRefused)),
        (samples::connected, NONCE, "mco_app_2", Some(Code::OwnershipRefused)),
        (samples::connected, NONCE, "", Some(Code::OwnershipRefused)),
        (samples::connected, "", "mco_app_1", Some(Code::OwnershipRefused)),
        (samples::connected, &NONCE[1..], "mco_app_1", Some(Code::OwnershipRefused)),
        (samples::connected, "eyJhbGciOiJFUzI1NiJ9.e30", "mco_app_1", Some(Code::OwnershipRefused)),
        (foreign, NONCE, "mco_app_1", Some(Code::SafeMode)),
    ];
    for (facts, nonce, client_id, expected) in table {
        let session = session(facts());
        let said = session.ownership(nonce, client_id, &world.at(NOW));
        assert_eq!(
            said.as_ref().err().map(|trouble| trouble.code),
            expected,
            "{nonce} {client_id}"
        );
        if let Ok(ownership) = said {
            assert_eq!(ownership.issuer, world.config.issuer);
            assert_eq!(ownership.site_url, world.config.site_url);
            assert_eq!((ownership.client_id, ownership.nonce), (client_id, nonce));
        }
    }
}
