//! Currencies of ISO 4217 that people pay in, with the decimals that each divides into.

/// Those of two decimals.
const TWO: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Those that are not divided.
const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Those of three decimals.
const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";

/// How many decimals amounts of a currency have; nothing for a code that is none.
#[must_use]
pub fn decimals(code: &str) -> Option<usize> {
    let among = |list: &str| code.len() == 3 && list.split(' ').any(|known| known == code);
    [(TWO, 2), (NONE, 0), (THREE, 3)]
        .into_iter()
        .find_map(|(list, decimals)| among(list).then_some(decimals))
}

/// All codes, the most usual kinds first.
pub fn codes() -> impl Iterator<Item = &'static str> {
    [TWO, NONE, THREE].into_iter().flat_map(|list| list.split(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (code, expected) in [
            ("EUR", Some(2)),
            ("AED", Some(2)),
            ("ZWG", Some(2)),
            ("JPY", Some(0)),
            ("BHD", Some(3)),
            ("eur", None),
            ("EURO", None),
            ("UR ", None),
            ("R U", None),
            ("BTC", None),
            ("XXX", None),
            ("", None),
        ] {
            assert_eq!(decimals(code), expected, "{code:?}");
        }
    }
}
