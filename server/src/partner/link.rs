//! Payment links: what a request for one may say, what is kept of it, and what is shown.

mod patch;

use counterfoil_protocol::{UnixTime, callback::LocalHosts};
use serde::{Deserialize, Serialize};

pub use self::patch::LinkPatch;
use super::{
    amount::Amount,
    json::Json,
    members::{Fault, Members},
};

/// Where a payment link stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkStatus {
    /// It can be paid.
    Active,
    /// Its store has put it away.
    Archived,
}

impl LinkStatus {
    /// The word on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// A payment link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentLink {
    /// Its own name.
    pub id: String,
    /// Its name in URLs.
    pub uid: String,
    /// The grant under which it was made.
    pub grant_id: String,
    /// Where it stands.
    pub status: LinkStatus,
    /// What is to be paid.
    pub amount: Amount,
    /// What it says of itself.
    pub facts: Facts,
    /// The store's own data.
    pub metadata: Json,
    /// The payload as it was sent.
    pub payload: Json,
    /// Where the money goes, as it was sent.
    pub settlement: Option<Json>,
    /// The newest attempt to pay it.
    pub session: Option<Json>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
    /// Counts its changes.
    pub version: i64,
}

/// What a payment link says of itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Facts {
    /// ISO 4217, in capitals.
    pub fiat_currency: Option<String>,
    /// What it is paid in.
    pub currency: Option<String>,
    /// The same with its chain.
    pub asset: Option<String>,
    /// For the payer.
    pub title: Option<String>,
    /// For the store's lists.
    pub label: Option<String>,
    /// For the payer.
    pub description: Option<String>,
    /// The store's order.
    pub order_id: Option<String>,
    /// Where receipts go.
    pub customer_email: Option<String>,
    /// Where the payer's browser goes.
    pub return_url: Option<String>,
    /// Where it goes when paid.
    pub success_url: Option<String>,
    /// Where it goes when not.
    pub failure_url: Option<String>,
}

/// A request for a payment link that may be granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkRequest {
    /// What is to be paid.
    pub amount: Amount,
    /// What it says of itself.
    pub facts: Facts,
    /// The store's own data.
    pub metadata: Json,
    /// The payload as it was sent.
    pub payload: Json,
    /// Where the money goes, as it was sent.
    pub settlement: Option<Json>,
    /// Whether an e-mail was asked for.
    pub send_email: bool,
}

impl LinkRequest {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str, local: LocalHosts) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        if body.text("status")?.is_some_and(|status| status != LinkStatus::Active.as_str()) {
            return Err(body.fault("status", "active, or left out"));
        }
        let settlement = body.object("settlement")?;
        let send_email = body.boolean("sendPaymentRequestEmail")?.unwrap_or(false);
        let Some(payload) = body.object("payload")? else {
            return Err(body.fault("payload", "an object with an amount and a currency"));
        };
        let members = Members::read(payload.as_str(), "payload.")?;
        let amount = members.raw("amount").and_then(|text| Amount::from_json(text.get()));
        let amount = amount.ok_or_else(|| {
            let must = "a positive decimal of at most 20 digits before the point and 18 after it";
            members.fault("amount", must)
        })?;
        let facts = Facts::read(&members, local)?;
        let metadata = members.object("metadata")?.unwrap_or_else(Json::empty_object);
        Ok(Self { amount, facts, metadata, payload, settlement, send_email })
    }

    /// The link it asks for.
    #[must_use]
    pub fn into_link(self, id: String, uid: String, grant_id: &str, now: UnixTime) -> PaymentLink {
        PaymentLink {
            id,
            uid,
            grant_id: grant_id.to_owned(),
            status: LinkStatus::Active,
            amount: self.amount,
            facts: self.facts,
            metadata: self.metadata,
            payload: self.payload,
            settlement: self.settlement,
            session: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}

impl Facts {
    fn read(members: &Members<'_>, local: LocalHosts) -> Result<Self, Fault> {
        let url = |name: &str, alias: &str| match members.url(name, local)? {
            None => members.url(alias, local),
            found => Ok(found),
        };
        // It is only vetted here: notifications read it from the payload.
        members.endpoint("webhookUrl", local)?;
        let facts = Self {
            fiat_currency: members.text("fiatCurrency")?.map(|code| code.to_ascii_uppercase()),
            currency: members.text("currency")?,
            asset: members.text("asset")?,
            title: members.text("title")?,
            label: members.text("label")?,
            description: members.text("description")?,
            order_id: members.text("orderId")?,
            customer_email: match members.text("customerEmail")? {
                None => members.text("receiptEmail")?,
                found => found,
            },
            return_url: url("returnUrl", "returnRedirectUrl")?,
            success_url: url("successUrl", "successRedirectUrl")?,
            failure_url: url("failureUrl", "failureRedirectUrl")?,
        };
        let is_fiat =
            |code: &String| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if !facts.fiat_currency.as_ref().is_none_or(is_fiat) {
            return Err(members.fault("fiatCurrency", "a currency code of three letters"));
        }
        for (name, value) in [("currency", &facts.currency), ("asset", &facts.asset)] {
            if !value.as_deref().is_none_or(is_asset) {
                return Err(members.fault(name, "at most 64 letters, digits and . _ : / -"));
            }
        }
        if facts.fiat_currency.is_none() && facts.currency.is_none() && facts.asset.is_none() {
            return Err(members.fault(
                "fiatCurrency",
                "there, where neither payload.currency nor payload.asset is",
            ));
        }
        Ok(facts)
    }
}

fn is_asset(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b))
}

/// A payment link on the wire. It tells nobody's company, grant or installation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkView<'a> {
    id: &'a str,
    uid: &'a str,
    public_url: String,
    status: LinkStatus,
    amount: &'a Amount,
    fiat_amount: Option<&'a Amount>,
    #[serde(flatten)]
    facts: &'a Facts,
    metadata: &'a Json,
    payload: &'a Json,
    settlement: Option<&'a Json>,
    latest_session: Option<&'a Json>,
    timeline_events: [(); 0],
    created_at: String,
    updated_at: String,
}

impl PaymentLink {
    /// The link as it is shown to its own client.
    #[must_use]
    pub fn view(&self, checkout_base: &str) -> LinkView<'_> {
        LinkView {
            id: &self.id,
            uid: &self.uid,
            public_url: format!("{checkout_base}/payment/{}", self.uid),
            status: self.status,
            amount: &self.amount,
            fiat_amount: self.facts.fiat_currency.as_ref().map(|_| &self.amount),
            facts: &self.facts,
            metadata: &self.metadata,
            payload: &self.payload,
            settlement: self.settlement.as_ref(),
            latest_session: self.session.as_ref(),
            timeline_events: [],
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        }
    }
}

/// A time as JSON shows it: `2027-01-15T08:00:00Z`.
#[must_use]
pub fn rfc3339(time: UnixTime) -> String {
    jiff::Timestamp::from_second(time.0).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;
