//! Customers: the people and firms that a company is paid by, as its integrations keep them. They belong to the
//! company, so every integration that may see customers sees the same ones.

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};

use super::{
    json::Json,
    link::rfc3339,
    members::{Fault, Members},
};

/// Every member that a request may have.
const MEMBERS: [&str; 6] = ["name", "email", "phone", "externalId", "country", "metadata"];

/// A customer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Customer {
    /// `mpcus_…`.
    pub id: String,
    /// The company.
    pub company_id: String,
    /// What is known of the customer.
    pub facts: CustomerFacts,
    /// The integration's own data.
    pub metadata: Json,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
    /// Counts its changes.
    pub version: i64,
}

/// What is known of a customer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CustomerFacts {
    /// Of a person or a firm.
    pub name: Option<String>,
    /// Where receipts go.
    pub email: Option<String>,
    /// As E.164 writes it: `+4912345678`.
    pub phone: Option<String>,
    /// The store's own name for the customer.
    pub external_id: Option<String>,
    /// ISO 3166-1, two letters.
    pub country: Option<String>,
}

/// A request for a new customer, or for a change: what is named in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CustomerPatch {
    named: Vec<&'static str>,
    facts: CustomerFacts,
    metadata: Option<Json>,
}

impl CustomerPatch {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        body.only(&MEMBERS, "left out: a customer has no such member")?;
        let facts = CustomerFacts {
            name: body.line("name")?,
            email: body.email("email")?,
            phone: checked(&body, "phone", is_phone, "a + and 7 to 15 digits")?,
            external_id: body.line("externalId")?,
            country: checked(&body, "country", is_country, "a country's two letters, like DE")?,
        };
        let metadata = match body.object("metadata")? {
            None if body.is_null("metadata") => Some(Json::empty_object()),
            found => found,
        };
        let named = MEMBERS.into_iter().filter(|name| body.has(name)).collect();
        Ok(Self { named, facts, metadata })
    }

    /// The new customer it asks for.
    pub fn into_customer(
        self,
        id: String,
        company_id: &str,
        now: UnixTime,
    ) -> Result<Customer, Fault> {
        let customer = Customer {
            id,
            company_id: company_id.to_owned(),
            facts: self.facts,
            metadata: self.metadata.unwrap_or_else(Json::empty_object),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        customer.somebody()
    }

    /// The customer as it is afterwards: what is not named stays, what is `null` or empty goes.
    pub fn apply(self, customer: &Customer, now: UnixTime) -> Result<Customer, Fault> {
        let mut customer = customer.clone();
        let facts = &mut customer.facts;
        for (name, slot, given) in [
            ("name", &mut facts.name, self.facts.name),
            ("email", &mut facts.email, self.facts.email),
            ("phone", &mut facts.phone, self.facts.phone),
            ("externalId", &mut facts.external_id, self.facts.external_id),
            ("country", &mut facts.country, self.facts.country),
        ] {
            if self.named.contains(&name) {
                *slot = given;
            }
        }
        if let Some(metadata) = self.metadata {
            customer.metadata = metadata;
        }
        customer.updated_at = now;
        customer.version += 1;
        customer.somebody()
    }
}

/// A member that is one line and passes a check; in capitals where the check wants them.
fn checked(
    body: &Members<'_>,
    name: &str,
    check: fn(&str) -> bool,
    must: &'static str,
) -> Result<Option<String>, Fault> {
    let line = body.line(name).map_err(|_| body.fault(name, must))?;
    let line = line.map(|line| line.to_ascii_uppercase());
    if line.as_deref().is_some_and(|line| !check(line)) {
        return Err(body.fault(name, must));
    }
    Ok(line)
}

fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// A customer on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerView<'a> {
    id: &'a str,
    #[serde(flatten)]
    facts: &'a CustomerFacts,
    metadata: &'a Json,
    created_at: String,
    updated_at: String,
}

impl Customer {
    /// Refuses a customer of whom nothing is known.
    fn somebody(self) -> Result<Self, Fault> {
        let CustomerFacts { name, email, phone, external_id, .. } = &self.facts;
        if [name, email, phone, external_id].iter().all(|fact| fact.is_none()) {
            let must = "there, or a name, phone or externalId";
            return Err(Fault { member: "email".to_owned(), must });
        }
        Ok(self)
    }

    /// The customer as it is shown.
    #[must_use]
    pub fn view(&self) -> CustomerView<'_> {
        CustomerView {
            id: &self.id,
            facts: &self.facts,
            metadata: &self.metadata,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn made(text: &str) -> Result<Customer, String> {
        CustomerPatch::parse(text)
            .and_then(|patch| patch.into_customer("c".to_owned(), "co", NOW))
            .map_err(|fault| fault.member)
    }

    #[test]
    fn requests() {
        let refused = |member: &str| Err(member.to_owned());
        for (text, expected) in [
            (r#"{"email":"a@b.example"}"#, Ok(())),
            (
                r#"{"name":"Ann","phone":"+4912345678","country":"de","metadata":{"n":1.50}}"#,
                Ok(()),
            ),
            (r#"{"externalId":"7","email":null}"#, Ok(())),
            ("{}", refused("email")),
            (r#"{"country":"DE"}"#, refused("email")),
            (r#"{"name":"","email":""}"#, refused("email")),
            (r#"{"email":"a"}"#, refused("email")),
            (r#"{"name":"Ann","phone":"12345678"}"#, refused("phone")),
            (r#"{"name":"Ann","country":"DEU"}"#, refused("country")),
            (r#"{"name":7}"#, refused("name")),
            (r#"{"name":"Ann","metadata":[]}"#, refused("metadata")),
            (r#"{"name":"Ann","id":"x"}"#, refused("id")),
        ] {
            assert_eq!(made(text).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn changes() {
        let ann = made(r#"{"name":"Ann","email":"a@b.example","metadata":{"n":1.50}}"#)
            .expect("a customer");
        let change = |text: &str| {
            let patch = CustomerPatch::parse(text).map_err(|fault| fault.member)?;
            patch.apply(&ann, NOW + 5).map_err(|fault| fault.member)
        };
        let changed = change(r#"{"email":null,"country":"fr"}"#).expect("a change");
        assert_eq!(changed.facts.name.as_deref(), Some("Ann"));
        assert_eq!((changed.facts.email, changed.facts.country), (None, Some("FR".to_owned())));
        assert_eq!(changed.metadata, ann.metadata);
        assert_eq!((changed.updated_at, changed.version), (NOW + 5, 2));
        assert_eq!(
            change(r#"{"metadata":null}"#).expect("a change").metadata,
            Json::empty_object()
        );
        assert_eq!(change(r#"{"name":null,"email":""}"#), Err("email".to_owned()));
    }
}
