//! How a payment moves: what the payment engine may report after what, and what a link says of it.

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};

use super::{
    amount::Amount,
    json::Json,
    link::{LinkStatus, PaymentLink, rfc3339},
    members::{Fault, Members},
};

/// Where one attempt to pay stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// A price was named.
    Quoted,
    /// The payer was told where to pay.
    AwaitingDeposit,
    /// Something is on its way.
    Pending,
    /// The money is there.
    DepositReceived,
    /// It is being changed.
    Swapping,
    /// It is on its way to the merchant.
    Sending,
    /// Less than asked for is there.
    Underpaid,
    /// Paid.
    Complete,
    /// It went wrong.
    Failed,
    /// Nothing came in time.
    Expired,
    /// The payer or the merchant gave it up.
    Cancelled,
}

use PaymentStatus::{
    AwaitingDeposit, Cancelled, Complete, DepositReceived, Expired, Failed, Pending, Quoted,
    Sending, Swapping, Underpaid,
};

impl PaymentStatus {
    /// All, in the order in which a payment usually takes them.
    pub const ALL: [Self; 11] = [
        Quoted,
        AwaitingDeposit,
        Pending,
        DepositReceived,
        Swapping,
        Sending,
        Underpaid,
        Complete,
        Failed,
        Expired,
        Cancelled,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Quoted => "quoted",
            AwaitingDeposit => "awaiting_deposit",
            Pending => "pending",
            DepositReceived => "deposit_received",
            Swapping => "swapping",
            Sending => "sending",
            Underpaid => "underpaid",
            Complete => "complete",
            Failed => "failed",
            Expired => "expired",
            Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the attempt came to nothing, so that another may begin.
    #[must_use]
    pub fn is_lost(self) -> bool {
        matches!(self, Failed | Expired | Cancelled)
    }

    /// What may be reported next of the same attempt. Steps may be left out, none is taken back; money that comes after
    /// the time has passed is still taken.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Quoted => &[
                AwaitingDeposit,
                Pending,
                DepositReceived,
                Swapping,
                Sending,
                Underpaid,
                Complete,
                Failed,
                Expired,
                Cancelled,
            ],
            AwaitingDeposit => &[
                Pending,
                DepositReceived,
                Swapping,
                Sending,
                Underpaid,
                Complete,
                Failed,
                Expired,
                Cancelled,
            ],
            Pending => &[DepositReceived, Swapping, Sending, Underpaid, Complete, Failed, Expired],
            Underpaid => {
                &[Underpaid, Pending, DepositReceived, Swapping, Sending, Complete, Failed, Expired]
            }
            DepositReceived => &[Swapping, Sending, Underpaid, Complete, Failed],
            Swapping => &[Sending, Complete, Failed],
            Sending => &[Complete, Failed],
            Expired => &[Pending, DepositReceived, Underpaid, Complete],
            Complete | Failed | Cancelled => &[],
        }
    }
}

/// Where the merchant's money is, as far as the engine says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settlement {
    /// How far it is.
    pub phase: SettlementPhase,
    /// How much arrived.
    pub settled_amount: Option<String>,
    /// Of what.
    pub settled_asset: Option<String>,
    /// How that compares with what was asked for.
    pub classification: Option<Classification>,
}

/// How far a settlement is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettlementPhase {
    /// Not begun.
    Pending,
    /// Begun.
    Processing,
    /// On its way.
    Sending,
    /// Sent.
    Sent,
}

/// How what arrived compares with what was asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// Nobody knows yet.
    Unknown,
    /// As much.
    Matched,
    /// Less.
    Underpaid,
    /// More.
    Overpaid,
}

/// One attempt to pay a link.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Where it stood before.
    pub previous_status: Option<PaymentStatus>,
    /// What was received, in what the link asks for.
    pub amount: Option<String>,
    /// Where the merchant's money is.
    pub settlement: Option<Settlement>,
    /// When it began.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
}

impl PaymentLink {
    /// The newest attempt to pay it.
    #[must_use]
    pub fn latest(&self) -> Option<Session> {
        serde_json::from_str(self.session.as_ref()?.as_str()).ok()
    }
}

/// What the engine reports of a payment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// Where it stands.
    pub status: PaymentStatus,
    /// What was received, if that is known.
    pub amount: Option<Amount>,
    /// Where the merchant's money is, if that is known.
    pub settlement: Option<Settlement>,
    /// The attempt, by the engine's own name.
    pub session: Option<String>,
}

/// What follows from a report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Moved {
    /// The link as it is afterwards.
    To(Box<PaymentLink>),
    /// It was there already.
    Unchanged,
}

/// Why a report is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MoveRefusal {
    /// The store put the link away before anybody paid.
    #[error("The payment link is archived; nobody can pay it any more.")]
    Archived,
    /// That cannot follow.
    #[error("A payment that is {} does not become {}.", from.as_str(), to.as_str())]
    Illegal {
        /// Where it stands.
        from: PaymentStatus,
        /// What was reported.
        to: PaymentStatus,
    },
    /// Another attempt is under way, or has succeeded.
    #[error("The payment link's attempt is {id}, and it is {}.", status.as_str())]
    OtherSession {
        /// Its name.
        id: String,
        /// Where it stands.
        status: PaymentStatus,
    },
}

impl MoveRefusal {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archived => "payment_link_archived",
            Self::Illegal { .. } => "illegal_transition",
            Self::OtherSession { .. } => "payment_session_conflict",
        }
    }
}

impl Report {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        let known = ["status", "amount", "settlement", "sessionId"];
        if let Some(unknown) = body.names().find(|name| !known.contains(name)) {
            return Err(body.fault(unknown, "left out: there is no such member"));
        }
        let status = body.text("status")?.as_deref().and_then(PaymentStatus::parse);
        let must = "quoted, awaiting_deposit, pending, deposit_received, swapping, sending, underpaid, complete, failed, \
                    expired or cancelled";
        let amount = body.raw("amount").map(|text| {
            Amount::from_json(text.get()).ok_or_else(|| {
                body.fault(
                    "amount",
                    "a positive decimal of at most 20 digits before the point and 18 after it",
                )
            })
        });
        let settlement = body.object("settlement")?.map(|text| {
            serde_json::from_str::<Settlement>(text.as_str())
                .ok()
                .filter(Settlement::is_plain)
                .ok_or_else(|| {
                    body.fault(
                        "settlement",
                        "an object of phase, settledAmount, settledAsset, classification",
                    )
                })
        });
        let session = body.text("sessionId")?;
        if !session.as_deref().is_none_or(is_session_id) {
            return Err(body.fault("sessionId", "at most 128 letters, digits and . _ : -"));
        }
        Ok(Self {
            status: status.ok_or_else(|| body.fault("status", must))?,
            amount: amount.transpose()?,
            settlement: settlement.transpose()?,
            session,
        })
    }

    /// The link as it is afterwards. `new_id` names an attempt that begins here and that the engine has not named.
    pub fn apply(
        self,
        link: &PaymentLink,
        new_id: String,
        now: UnixTime,
    ) -> Result<Moved, MoveRefusal> {
        if link.status == LinkStatus::Archived {
            return Err(MoveRefusal::Archived);
        }
        let session = match link.latest() {
            None => self.begin(new_id, now),
            Some(known) if self.is_of(&known) => match self.go_on(known, now)? {
                Some(session) => session,
                None => return Ok(Moved::Unchanged),
            },
            Some(known) if known.status.is_lost() => self.begin(new_id, now),
            Some(Session { id, status, .. }) => {
                return Err(MoveRefusal::OtherSession { id, status });
            }
        };
        let mut link = link.clone();
        let session = serde_json::to_string(&session).expect("a session is JSON");
        link.session = Some(Json::parse(session).expect("a session is JSON"));
        link.updated_at = now;
        link.version += 1;
        Ok(Moved::To(Box::new(link)))
    }

    /// Whether this is about a known attempt. Without a name it is, unless that one is over and this begins another.
    fn is_of(&self, known: &Session) -> bool {
        let begins = || matches!(self.status, Quoted | AwaitingDeposit);
        let goes_on = || !(known.status.is_lost() && begins());
        self.session.as_ref().map_or_else(goes_on, |id| *id == known.id)
    }

    fn begin(self, new_id: String, now: UnixTime) -> Session {
        Session {
            id: self.session.unwrap_or(new_id),
            status: self.status,
            previous_status: None,
            amount: self.amount.map(|amount| amount.as_str().to_owned()),
            settlement: self.settlement,
            created_at: rfc3339(now),
            updated_at: rfc3339(now),
        }
    }

    /// The attempt as it goes on; `None` when it says nothing new.
    fn go_on(self, known: Session, now: UnixTime) -> Result<Option<Session>, MoveRefusal> {
        let (from, to) = (known.status, self.status);
        let amount = self.amount.map(|amount| amount.as_str().to_owned());
        let same_amount = amount.is_none() || amount == known.amount;
        let same = to == from
            && same_amount
            && (self.settlement.is_none() || self.settlement == known.settlement);
        if same {
            return Ok(None);
        }
        // Where the money is may be told later, of an attempt that has come to its end.
        let settles = to == from && same_amount && self.settlement.is_some();
        if !settles && !from.next().contains(&to) {
            return Err(MoveRefusal::Illegal { from, to });
        }
        Ok(Some(Session {
            status: to,
            previous_status: Some(from),
            amount: amount.or(known.amount),
            settlement: self.settlement.or(known.settlement),
            updated_at: rfc3339(now),
            ..known
        }))
    }
}

impl Settlement {
    /// Whether every text in it is one that clients take: a plain decimal, and a name without spaces around it.
    fn is_plain(&self) -> bool {
        let decimal = |text: &String| text == "0" || Amount::parse(text).is_some();
        let name = |text: &String| {
            (1..=200).contains(&text.len())
                && text.trim() == text
                && !text.chars().any(char::is_control)
        };
        self.settled_amount.as_ref().is_none_or(decimal)
            && self.settled_asset.as_ref().is_none_or(name)
    }
}

fn is_session_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

#[cfg(test)]
mod tests;
