//! When a refused request is worth one more proof: with the server's nonce, or by the server's clock.

use counterfoil_protocol::UnixTime;

/// How far apart two clocks must be before they explain a refusal, in seconds.
const NOTICEABLE: i64 = 30;

/// The largest difference that is believed, in seconds.
const LARGEST: i64 = 24 * 3_600;

/// What a refusal said, and what had been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'a> {
    /// Status of the answer.
    pub(crate) status: u16,
    /// `error` of the answer: a code or a sentence.
    pub(crate) error: Option<&'a str>,
    /// The nonce that came with it.
    pub(crate) nonce: Option<&'a str>,
    /// The nonce that the proof had.
    pub(crate) sent_nonce: Option<&'a str>,
    /// The server's clock when it answered.
    pub(crate) date: Option<UnixTime>,
    /// `iat` of the proof.
    pub(crate) signed_at: UnixTime,
    /// Our clock now.
    pub(crate) now: UnixTime,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Again {
    /// Nothing: the answer stands.
    No,
    /// Sign again with the nonce.
    WithNonce,
    /// Sign again with this offset from our clock.
    WithClock(i64),
}

impl Refused<'_> {
    /// Decides. Whoever asks makes sure that each way is gone only once for a request.
    pub(crate) fn judge(&self) -> Again {
        let Some(error) = self.error.filter(|_| matches!(self.status, 400 | 401)) else {
            return Again::No;
        };
        if error == "use_dpop_nonce" {
            let fresh = self.nonce.is_some() && self.nonce != self.sent_nonce;
            return if fresh { Again::WithNonce } else { Again::No };
        }
        let Some(date) = self.date.filter(|_| is_about_the_proof(error)) else { return Again::No };
        let offset = date.since(self.now);
        let explains = date.since(self.signed_at).abs() > NOTICEABLE;
        if explains && offset.abs() <= LARGEST { Again::WithClock(offset) } else { Again::No }
    }
}

/// Whether an error speaks of the proof. Some servers say so by a code, some by a sentence.
pub(crate) fn is_about_the_proof(error: &str) -> bool {
    let sentence = error.contains(' ');
    let lower = error.to_ascii_lowercase();
    error == "invalid_dpop_proof"
        || (sentence && (lower.contains("dpop") || lower.contains("proof")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[track_caller]
    fn check(change: impl FnOnce(&mut Refused<'static>), expected: Again) {
        let mut refused = Refused {
            status: 400,
            error: Some("invalid_dpop_proof"),
            nonce: None,
            sent_nonce: None,
            date: Some(NOW + 3_600),
            signed_at: NOW,
            now: NOW,
        };
        change(&mut refused);
        assert_eq!(refused.judge(), expected);
    }

    #[test]
    fn a_nonce_is_honoured_when_it_is_new() {
        let challenge = |refused: &mut Refused<'static>| {
            refused.error = Some("use_dpop_nonce");
            refused.nonce = Some("new");
        };
        check(challenge, Again::WithNonce);
        check(
            |it| {
                challenge(it);
                it.sent_nonce = Some("old");
                it.status = 401;
            },
            Again::WithNonce,
        );
        check(
            |it| {
                challenge(it);
                it.sent_nonce = Some("new");
            },
            Again::No,
        );
        check(
            |it| {
                challenge(it);
                it.nonce = None;
            },
            Again::No,
        );
        check(
            |it| {
                challenge(it);
                it.status = 500;
            },
            Again::No,
        );
    }

    #[test]
    fn a_clock_is_learned_only_from_a_refusal_it_explains() {
        check(|_| {}, Again::WithClock(3_600));
        check(
            |it| it.error = Some("DPoP proof is outside the accepted window"),
            Again::WithClock(3_600),
        );
        check(|it| it.date = Some(NOW - 7_200), Again::WithClock(-7_200));
        // Our clock was mended since an offset was learned.
        check(
            |it| {
                it.date = Some(NOW);
                it.signed_at = NOW + 3_600;
            },
            Again::WithClock(0),
        );
        check(|it| it.date = Some(NOW + NOTICEABLE), Again::No);
        check(|it| it.date = Some(NOW + LARGEST), Again::WithClock(LARGEST));
        check(|it| it.date = Some(NOW + LARGEST + 1), Again::No);
        check(|it| it.date = None, Again::No);
        check(|it| it.status = 200, Again::No);
        for other in ["invalid_grant", "invalid_dpop_key", "previous_dpop_required", "slow down"] {
            check(|it| it.error = Some(other), Again::No);
        }
    }
}
