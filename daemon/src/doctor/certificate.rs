//! The two things of a certificate that people ask for: who issued it, and when it ends (RFC 5280 §4.1).

use counterfoil_protocol::UnixTime;
use jiff::civil::DateTime;

/// What is told of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Certificate {
    /// The issuer's organization, or else its common name.
    pub(super) issuer: Option<String>,
    /// The last moment at which it is good.
    pub(super) ends_at: UnixTime,
}

/// Tags of DER (X.690) that occur on the way.
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// `id-at-organizationName` and `id-at-commonName`.
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

impl Certificate {
    /// Reads a certificate in DER. It was judged by the TLS library already; here it is only told.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut certificate = Reader(outer.take(SEQUENCE)?);
        let mut body = Reader(certificate.take(SEQUENCE)?);
        if body.0.first() == Some(&VERSION) {
            body.take(VERSION)?;
        }
        body.take(INTEGER)?;
        body.take(SEQUENCE)?;
        let issuer = body.take(SEQUENCE)?;
        let mut validity = Reader(body.take(SEQUENCE)?);
        validity.any()?;
        let (tag, text) = validity.any()?;
        let ends_at = time(tag, std::str::from_utf8(text).ok()?)?;
        let issuer = attribute(issuer, ORGANIZATION).or_else(|| attribute(issuer, COMMON_NAME));
        Some(Self { issuer, ends_at })
    }
}

/// Elements of DER, one after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn any(&mut self) -> Option<(u8, &'d [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fits = bytes.len() <= 4;
            let length = bytes.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            (fits.then_some(length)?, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, wanted: u8) -> Option<&'d [u8]> {
        self.any().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

fn attribute(name: &[u8], wanted: &[u8]) -> Option<String> {
    let mut sets = Reader(name);
    while let Some(set) = sets.take(SET) {
        let mut pairs = Reader(set);
        while let Some(pair) = pairs.take(SEQUENCE) {
            let mut pair = Reader(pair);
            if pair.take(OID)? == wanted {
                let (_, text) = pair.any()?;
                return String::from_utf8(text.to_vec()).ok();
            }
        }
    }
    None
}

/// `YYMMDDHHMMSSZ` of this half century and the last, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<UnixTime> {
    let text = match tag {
        UTC_TIME if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some(UnixTime(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::encoding::from_base64url;

    use super::*;

    /// Self-signed by `/C=NL/O=Harbour Trust/CN=Harbour Root R1`.
    const DER: &str = "\
        MIIB0zCCAXmgAwIBAgIUcLSQOxnLiPGEUv18Dho4IWDtPhUwCgYIKoZIzj0EAwIwPzELMAkGA1UEBhMCTkwxFjAUBgNVBAoM\
        DUhhcmJvdXIgVHJ1c3QxGDAWBgNVBAMMD0hhcmJvdXIgUm9vdCBSMTAeFw0yNjExMjIxNDQ0MzhaFw0yNjEyMjIxNDQ0Mzha\
        MD8xCzAJBgNVBAYTAk5MMRYwFAYDVQQKDA1IYXJib3VyIFRydXN0MRgwFgYDVQQDDA9IYXJib3VyIFJvb3QgUjEwWTATBgcq\
        hkjOPQIBBggqhkjOPQMBBwNCAASmMLyVDuYF9eQupHYDd15Vt4aL_YKslzk6DEAFSc9THx_0eE8TsiT0nIjQf9ortMqLUCu8\
        8NJjCt0UWoyVFWHqo1MwUTAdBgNVHQ4EFgQUR_o_-xUTxhFHqTw_CF2FHofNMvIwHwYDVR0jBBgwFoAUR_o_-xUTxhFHqTw_\
        CF2FHofNMvIwDwYDVR0TAQH_BAUwAwEB_zAKBggqhkjOPQQDAgNIADBFAiEAk806SsMU-aeEMQDCBnsarZ4L7g7UmmbcT_VQ\
        ApU1rTMCIDu7EbSKDZ1rcQespxS8K5dIrqgavjIjCugWrhKrBw7x";

    #[test]
    fn issuer_and_end_are_read_and_nothing_is_believed_of_a_torn_one() {
        let der = from_base64url(DER).expect("base64url");
        let expected = Certificate {
            issuer: Some("Harbour Trust".to_owned()),
            ends_at: UnixTime(1_797_950_678),
        };
        assert_eq!(Certificate::read(&der), Some(expected));
        for length in 0..der.len() {
            let torn = Certificate::read(&der[..length]);
            assert_eq!(torn, None, "{length} bytes");
        }
    }

    #[test]
    fn both_forms_of_time_are_read() {
        assert_eq!(time(UTC_TIME, "270115080000Z"), Some(UnixTime(1_800_000_000)));
        assert_eq!(time(GENERALIZED_TIME, "20270115080000Z"), Some(UnixTime(1_800_000_000)));
        assert_eq!(time(UTC_TIME, "700101000000Z"), Some(UnixTime(0)));
        for wrong in ["", "27", "270115080000", "271315080000Z", "2701150800ü0Z"] {
            assert_eq!(time(UTC_TIME, wrong), None, "{wrong}");
        }
    }
}
