//! Subscriptions of customers: an amount that a customer owes again and again, until it is paused or cancelled.

mod calendar;

use counterfoil_protocol::UnixTime;
use jiff::civil::Date;
use serde::Serialize;

pub use self::calendar::{Interval, day};
use super::{
    amount::Amount,
    currency,
    json::Json,
    link::rfc3339,
    members::{Fault, Members},
};

/// The most intervals between two payments.
const MAX_INTERVAL_COUNT: u32 = 366;

/// Every member that a new one may have.
const MEMBERS: [&str; 9] = [
    "customerId",
    "amount",
    "currency",
    "interval",
    "intervalCount",
    "startDate",
    "description",
    "metadata",
    "status",
];

/// Every member that can be changed.
const PATCHABLE: [&str; 5] = ["amount", "description", "metadata", "nextPaymentDate", "status"];

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is paid at every date.
    Active,
    /// Nothing is due until it is resumed.
    Paused,
    /// Nothing is due any more, and it cannot be resumed.
    Cancelled,
}

impl Standing {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Cancelled].into_iter().find(|one| one.as_str() == text)
    }
}

/// A subscription of a customer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recurring {
    /// `mpsub_…`.
    pub id: String,
    /// The company.
    pub company_id: String,
    /// Who pays.
    pub customer_id: String,
    /// What is paid each time.
    pub amount: Amount,
    /// ISO 4217.
    pub currency: String,
    /// How often.
    pub interval: Interval,
    /// Every so many intervals.
    pub interval_count: u32,
    /// The date from which all payment dates are counted.
    pub anchor: Date,
    /// Where it stands.
    pub status: Standing,
    /// For people.
    pub description: Option<String>,
    /// The integration's own data.
    pub metadata: Json,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
    /// Counts its changes.
    pub version: i64,
}

/// A request for a new subscription that may be granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecurringRequest {
    /// Who pays.
    pub customer_id: String,
    amount: Amount,
    currency: String,
    interval: Interval,
    interval_count: u32,
    start: Option<Date>,
    description: Option<String>,
    metadata: Json,
}

impl RecurringRequest {
    /// Reads a body: a JSON object, whose member names were found unique before. `default_currency` is the company's.
    pub fn parse(text: &str, default_currency: Option<&str>) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        body.only(&MEMBERS, "left out: a new subscription has no such member")?;
        if body.line("status")?.is_some_and(|status| status != Standing::Active.as_str()) {
            return Err(body.fault("status", "active, or left out"));
        }
        let must = "the id of a customer of this company";
        let customer_id = body.line("customerId")?.ok_or_else(|| body.fault("customerId", must))?;
        let currency = match body.currency("currency")? {
            Some(currency) => currency,
            None => default_currency.map(str::to_owned).ok_or_else(|| {
                body.fault("currency", "there: the company's settings have no default currency")
            })?,
        };
        let must = "day, week, month or year";
        let interval = body.line("interval")?.as_deref().and_then(Interval::parse);
        Ok(Self {
            customer_id,
            amount: amount(&body, &currency)?.ok_or_else(|| body.fault("amount", AMOUNT))?,
            currency,
            interval: interval.ok_or_else(|| body.fault("interval", must))?,
            interval_count: interval_count(&body)?,
            start: date(&body, "startDate")?,
            description: body.text("description")?,
            metadata: body.object("metadata")?.unwrap_or_else(Json::empty_object),
        })
    }

    /// The subscription it asks for, from today unless it says another day.
    #[must_use]
    pub fn into_recurring(self, id: String, company_id: &str, now: UnixTime) -> Recurring {
        Recurring {
            id,
            company_id: company_id.to_owned(),
            customer_id: self.customer_id,
            amount: self.amount,
            currency: self.currency,
            interval: self.interval,
            interval_count: self.interval_count,
            anchor: self.start.unwrap_or_else(|| day(now)),
            status: Standing::Active,
            description: self.description,
            metadata: self.metadata,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

/// What an amount must be.
const AMOUNT: &str = "a positive decimal, with no more decimals than its currency has";

fn amount(body: &Members<'_>, currency: &str) -> Result<Option<Amount>, Fault> {
    let Some(text) = body.raw("amount") else { return Ok(None) };
    let most = currency::decimals(currency).unwrap_or_default();
    let amount = Amount::from_json(text.get()).filter(|amount| amount.decimals() <= most);
    amount.map(Some).ok_or_else(|| body.fault("amount", AMOUNT))
}

fn interval_count(body: &Members<'_>) -> Result<u32, Fault> {
    let Some(text) = body.raw("intervalCount") else { return Ok(1) };
    let count = text.get().parse().ok().filter(|count| (1..=MAX_INTERVAL_COUNT).contains(count));
    count.ok_or_else(|| body.fault("intervalCount", "a whole number from 1 to 366"))
}

/// A member that is a date of this century: `2027-01-31`.
fn date(body: &Members<'_>, name: &str) -> Result<Option<Date>, Fault> {
    let must = "a date of this century, like 2027-01-31";
    let Some(text) = body.line(name).map_err(|_| body.fault(name, must))? else { return Ok(None) };
    let date = calendar::parse(&text).filter(|date| (2000..2100).contains(&date.year()));
    date.map(Some).ok_or_else(|| body.fault(name, must))
}

/// A change of a subscription.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecurringPatch {
    text: String,
    status: Option<Standing>,
    next: Option<Date>,
    names_description: bool,
    description: Option<String>,
    metadata: Option<Json>,
}

/// Why a subscription cannot be changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecurringRefusal {
    /// It was cancelled.
    #[error("This subscription is cancelled; make a new one.")]
    Cancelled,
    /// A member is not what it must be for this subscription.
    #[error(transparent)]
    Member(#[from] Fault),
}

impl RecurringPatch {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        body.only(&PATCHABLE, "left out: it cannot be changed")?;
        let status =
            match body.line("status")? {
                None => None,
                Some(word) => Some(Standing::parse(&word).ok_or_else(|| {
                    body.fault("status", "active, paused or cancelled, or left out")
                })?),
            };
        let metadata = match body.object("metadata")? {
            None if body.is_null("metadata") => Some(Json::empty_object()),
            found => found,
        };
        Ok(Self {
            status,
            next: date(&body, "nextPaymentDate")?,
            names_description: body.has("description"),
            description: body.text("description")?,
            metadata,
            // The amount is read when its currency is known.
            text: text.to_owned(),
        })
    }

    /// The subscription as it is afterwards.
    pub fn apply(&self, known: &Recurring, now: UnixTime) -> Result<Recurring, RecurringRefusal> {
        if known.status == Standing::Cancelled {
            return Err(RecurringRefusal::Cancelled);
        }
        let body = Members::read(&self.text, "")?;
        let mut changed = known.clone();
        if let Some(amount) = amount(&body, &known.currency)? {
            changed.amount = amount;
        }
        if let Some(next) = self.next {
            if next < day(now) {
                return Err(body.fault("nextPaymentDate", "today or later").into());
            }
            changed.anchor = next;
        }
        if let Some(status) = self.status {
            changed.status = status;
        }
        if self.names_description {
            changed.description.clone_from(&self.description);
        }
        if let Some(metadata) = &self.metadata {
            changed.metadata.clone_from(metadata);
        }
        changed.updated_at = now;
        changed.version += 1;
        Ok(changed)
    }
}

/// A subscription on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecurringView<'a> {
    id: &'a str,
    customer_id: &'a str,
    status: Standing,
    amount: &'a Amount,
    currency: &'a str,
    interval: Interval,
    interval_count: u32,
    next_payment_date: Option<String>,
    description: Option<&'a str>,
    metadata: &'a Json,
    created_at: String,
    updated_at: String,
}

impl Recurring {
    /// When the next payment is due: today or later. Nothing is due of one that is paused or cancelled.
    #[must_use]
    pub fn next_payment(&self, now: UnixTime) -> Option<Date> {
        (self.status == Standing::Active)
            .then(|| calendar::next(self.anchor, self.interval, self.interval_count, day(now)))
            .flatten()
    }

    /// The subscription as it is shown today.
    #[must_use]
    pub fn view(&self, now: UnixTime) -> RecurringView<'_> {
        RecurringView {
            id: &self.id,
            customer_id: &self.customer_id,
            status: self.status,
            amount: &self.amount,
            currency: &self.currency,
            interval: self.interval,
            interval_count: self.interval_count,
            next_payment_date: self.next_payment(now).map(|date| date.to_string()),
            description: self.description.as_deref(),
            metadata: &self.metadata,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        }
    }
}

#[cfg(test)]
mod tests;
