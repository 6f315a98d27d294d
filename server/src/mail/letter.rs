//! A letter: a template with a subject, made into what a mail server takes (RFC 5322).

use std::time::{Duration, SystemTime};

use askama::Template;
use counterfoil_protocol::UnixTime;
use lettre::{
    Address,
    message::{
        Body, Mailbox,
        header::{ContentTransferEncoding, ContentType},
    },
};

use super::{MailError, address};

/// The longest line of a letter, in bytes without its end (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// A template of a letter, in `templates/mail/`: plain text, nothing escaped.
pub trait Letter: Template {
    /// The subject: one line.
    fn subject(&self) -> String;
}

/// A letter to one person. Its `Debug` leaves the text out: links that work once are in it.
pub struct Message {
    to: Address,
    subject: String,
    text: String,
}

impl Message {
    /// Writes a letter to `to`.
    pub fn new(to: &str, letter: &impl Letter) -> Result<Self, MailError> {
        let to = address::parse(to).ok_or(MailError::Address)?;
        let subject = letter.subject();
        if subject.is_empty() || subject.chars().any(char::is_control) {
            return Err(MailError::Subject);
        }
        let text = letter.render().map_err(|error| MailError::Made(error.to_string()))?;
        Ok(Self { to, subject, text })
    }

    /// The letter with its headers. `id` names it for ever, and tells nothing else.
    pub(super) fn to_bytes(
        &self,
        from: &Mailbox,
        id: &str,
        now: UnixTime,
    ) -> Result<Vec<u8>, MailError> {
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(now.0.try_into().unwrap_or(0));
        let message = lettre::Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(self.subject.clone())
            .date(date)
            .message_id(Some(format!("<{id}@{}>", from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            // Answers to it by machines would be answers to nobody (RFC 3834).
            .raw_header(auto_submitted())
            .body(body(&self.text))
            .map_err(|error| MailError::Made(error.to_string()))?;
        Ok(message.formatted())
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// The text as it goes out: as it is where mail servers take that, so that a link in a file of the outbox can be copied
/// (the library alone writes quoted-printable from 76 bytes a line), else encoded.
fn body(text: &str) -> Body {
    let text = text.replace("\r\n", "\n");
    let plain = text.bytes().all(|byte| byte.is_ascii() && !matches!(byte, b'\0' | b'\r'));
    if plain && text.split('\n').all(|line| line.len() <= MAX_LINE) {
        let lines = text.replace('\n', "\r\n").into_bytes();
        Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    }
}

fn auto_submitted() -> lettre::message::header::HeaderValue {
    use lettre::message::header::{HeaderName, HeaderValue};
    HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())
}

/// Whom a letter of ours goes to: what its `To` says.
pub(super) fn recipient(letter: &[u8]) -> Option<Address> {
    let text = std::str::from_utf8(letter).ok()?;
    let head = text.split("\r\n\r\n").next()?.replace("\r\n ", " ");
    let mut lines = head.lines().filter_map(|line| line.strip_prefix("To:"));
    let to = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    address::parse(to.trim().trim_start_matches('<').trim_end_matches('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Template)]
    #[template(source = "Hello {{ name }}.\n.\nBcc: eve@evil.example\n", ext = "txt")]
    struct Hello<'a> {
        name: &'a str,
        subject: &'a str,
    }

    impl Letter for Hello<'_> {
        fn subject(&self) -> String {
            self.subject.to_owned()
        }
    }

    fn made(to: &str, subject: &str, name: &str) -> Result<String, String> {
        let from = Mailbox::new(
            Some("Pay & \"Co\"\u{2026}".to_owned()),
            "no-reply@pay.example".parse().expect("an address"),
        );
        let message = Message::new(to, &Hello { name, subject }).map_err(|e| e.to_string())?;
        let bytes = message.to_bytes(&from, "id", UnixTime(1_800_000_000));
        Ok(String::from_utf8(bytes.map_err(|e| e.to_string())?).expect("text"))
    }

    #[test]
    fn a_letter_as_it_is_sent() {
        let letter = made("ana@shop.example", "Your password", "Ana & Bo <b>").expect("made");
        let (head, body) = letter.split_once("\r\n\r\n").expect("a head and a body");
        for line in [
            "To: ana@shop.example",
            "Subject: Your password",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000",
            "Message-ID: <id@pay.example>",
            "Content-Type: text/plain; charset=utf-8",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(head.lines().any(|known| known == line), "{line}\n{head}");
        }
        assert!(body.starts_with("Hello Ana & Bo <b>.\r\n"), "{body}");
        assert_eq!(recipient(letter.as_bytes()), "ana@shop.example".parse().ok());
    }

    #[test]
    fn what_can_be_read_is_not_encoded() {
        let link = format!("https://pay.example/invitation?token={}", "x".repeat(80));
        let longest = "x".repeat(MAX_LINE - "Hello .".len());
        for (name, encoding) in [
            (link.as_str(), "7bit"),
            ("a=3D\r\nb\nc", "7bit"),
            (longest.as_str(), "7bit"),
            (&format!("{longest}x"), "quoted-printable"),
            (&format!("{link} \u{e4}"), "quoted-printable"),
            (&format!("{link}\ra"), "quoted-printable"),
            (&format!("{link}\0"), "quoted-printable"),
        ] {
            let letter = made("ana@shop.example", "Hello", name).expect("made");
            let (head, body) = letter.split_once("\r\n\r\n").expect("a head and a body");
            let wanted = format!("Content-Transfer-Encoding: {encoding}");
            assert!(head.lines().any(|known| known == wanted), "{wanted}\n{head}");
            let lines = body.strip_suffix("\r\n").unwrap_or(body).split("\r\n");
            assert!(lines.clone().all(|it| it.is_ascii() && it.len() <= MAX_LINE), "{body}");
            assert!(lines.clone().all(|it| !it.contains(['\r', '\n', '\0'])), "{body}");
            let as_is = format!("Hello {}.\r\n", name.replace("\r\n", "\n").replace('\n', "\r\n"));
            assert_eq!(body.starts_with(&as_is), encoding == "7bit", "{body}");
        }
    }

    #[test]
    fn nothing_becomes_a_header() {
        for subject in ["", "a\r\nBcc: eve@evil.example", "a\nb", "a\rb", "a\u{0}b", "a\u{85}b"] {
            assert!(made("ana@shop.example", subject, "x").is_err(), "{subject:?}");
        }
        for to in ["a@b\r\nBcc: eve@evil.example", "a@b, eve@evil.example", "a"] {
            assert!(made(to, "Hello", "x").is_err(), "{to:?}");
        }
        // A name from outside stays in the text, whatever is in it.
        let letter =
            made("a@shop.example", "Hello", "x\r\n\r\nTo: eve@evil.example\r\n").expect("made");
        let head = letter.split("\r\n\r\n").next().expect("a head");
        assert!(!head.contains("eve"), "{head}");
        assert_eq!(recipient(letter.as_bytes()), "a@shop.example".parse().ok());
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(60));
        let letter = made(&long, &"ä long sübject ".repeat(20), "x").expect("made");
        assert_eq!(recipient(letter.as_bytes()), long.parse().ok());
        for not_ours in ["", "To: a@b\r\nTo: c@d\r\n\r\n", "Subject: x\r\n\r\nTo: a@b\r\n"] {
            assert_eq!(recipient(not_ours.as_bytes()), None);
        }
    }
}
