//! What a company has set for all its integrations: how it is called, what it takes, where payers' browsers return.

use std::collections::BTreeSet;

use counterfoil_protocol::{UnixTime, callback::LocalHosts};
use serde::{Deserialize, Serialize};

use super::{
    link::Facts,
    members::{Fault, Members},
};

/// Every member of the settings.
const MEMBERS: [&str; 5] =
    ["displayName", "supportEmail", "defaultCurrency", "allowedPaymentMethods", "callbacks"];

/// Every member of the callbacks.
const CALLBACKS: [&str; 3] = ["returnUrl", "successUrl", "failureUrl"];

/// A company's settings as they are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptSettings {
    /// The company.
    pub company_id: String,
    /// What it has set.
    pub settings: MerchantSettings,
    /// When it last did.
    pub updated_at: UnixTime,
    /// Counts the changes.
    pub version: i64,
}

/// What a company has set. All of it is optional.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MerchantSettings {
    /// How payers know the company, where that is not its registered name.
    pub display_name: Option<String>,
    /// Where payers ask.
    pub support_email: Option<String>,
    /// ISO 4217: what subscriptions are in that name no currency.
    pub default_currency: Option<String>,
    /// What can be paid with; nothing set is everything that the platform takes.
    pub allowed_payment_methods: Option<Vec<String>>,
    /// Where payers' browsers return from links that do not say.
    pub callbacks: Callbacks,
}

/// Where payers' browsers return from payment links that do not say.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "as they are called on the wire")]
pub struct Callbacks {
    /// At any time.
    pub return_url: Option<String>,
    /// When paid.
    pub success_url: Option<String>,
    /// When not.
    pub failure_url: Option<String>,
}

impl MerchantSettings {
    /// Reads a body: a JSON object, whose member names were found unique before. It stands for all settings: what it
    /// does not name is unset. `platform` lists what the platform takes.
    pub fn parse(text: &str, platform: &[String], local: LocalHosts) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        body.only(&MEMBERS, "left out: there is no such setting")?;
        let callbacks = body.object("callbacks")?;
        let callbacks = match &callbacks {
            None => Callbacks::default(),
            Some(json) => Callbacks::read(&Members::read(json.as_str(), "callbacks.")?, local)?,
        };
        Ok(Self {
            display_name: body.line("displayName")?,
            support_email: body.email("supportEmail")?,
            default_currency: body.currency("defaultCurrency")?,
            allowed_payment_methods: payment_methods(&body, platform)?,
            callbacks,
        })
    }

    /// What can be paid with, of what the platform takes.
    #[must_use]
    pub fn payment_methods<'a>(&self, platform: &'a [String]) -> Vec<&'a str> {
        let allowed = |method: &&String| {
            self.allowed_payment_methods.as_ref().is_none_or(|allowed| allowed.contains(method))
        };
        platform.iter().filter(allowed).map(String::as_str).collect()
    }

    /// Whether a link may name this asset: one of the platform's that the company has not switched off, or one that
    /// the platform does not list.
    #[must_use]
    pub fn takes(&self, asset: &str, platform: &[String]) -> bool {
        !platform.iter().any(|known| known == asset)
            || self.payment_methods(platform).contains(&asset)
    }

    /// Fills in where a link's payers return, when the link does not say.
    pub fn complete(&self, facts: &mut Facts) {
        let Callbacks { return_url, success_url, failure_url } = &self.callbacks;
        for (slot, default) in [
            (&mut facts.return_url, return_url),
            (&mut facts.success_url, success_url),
            (&mut facts.failure_url, failure_url),
        ] {
            if slot.is_none() {
                slot.clone_from(default);
            }
        }
    }
}

impl Callbacks {
    fn read(members: &Members<'_>, local: LocalHosts) -> Result<Self, Fault> {
        members.only(&CALLBACKS, "left out: there is no such callback")?;
        Ok(Self {
            return_url: members.url("returnUrl", local)?,
            success_url: members.url("successUrl", local)?,
            failure_url: members.url("failureUrl", local)?,
        })
    }
}

/// The members of the list must be the platform's, each once; one at least, or nobody could pay.
fn payment_methods(body: &Members<'_>, platform: &[String]) -> Result<Option<Vec<String>>, Fault> {
    let Some(list) = body.raw("allowedPaymentMethods") else { return Ok(None) };
    let must = "a list of some of availablePaymentMethods, each once and one at least";
    let list: Vec<String> =
        serde_json::from_str(list.get()).map_err(|_| body.fault("allowedPaymentMethods", must))?;
    let distinct: BTreeSet<_> = list.iter().collect();
    let good = !list.is_empty()
        && distinct.len() == list.len()
        && list.iter().all(|method| platform.contains(method));
    good.then_some(Some(list)).ok_or_else(|| body.fault("allowedPaymentMethods", must))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform() -> Vec<String> {
        ["BTC.BTC", "ETH.ETH"].map(str::to_owned).to_vec()
    }

    fn read(text: &str) -> Result<MerchantSettings, String> {
        MerchantSettings::parse(text, &platform(), LocalHosts::Refused)
            .map_err(|fault| fault.member)
    }

    #[test]
    fn bodies() {
        let refused = |member: &str| Err(member.to_owned());
        for (text, expected) in [
            ("{}", Ok(())),
            (
                r#"{"displayName":"Nordwind","supportEmail":"a@b.example","defaultCurrency":"eur"}"#,
                Ok(()),
            ),
            (r#"{"allowedPaymentMethods":["ETH.ETH"]}"#, Ok(())),
            (r#"{"callbacks":{"returnUrl":"https://shop.example/r#top"}}"#, Ok(())),
            (r#"{"callbacks":null,"allowedPaymentMethods":null}"#, Ok(())),
            (r#"{"allowedPaymentMethods":[]}"#, refused("allowedPaymentMethods")),
            (r#"{"allowedPaymentMethods":["DOGE.DOGE"]}"#, refused("allowedPaymentMethods")),
            (
                r#"{"allowedPaymentMethods":["ETH.ETH","ETH.ETH"]}"#,
                refused("allowedPaymentMethods"),
            ),
            (r#"{"allowedPaymentMethods":"ETH.ETH"}"#, refused("allowedPaymentMethods")),
            (r#"{"callbacks":{"returnUrl":"http://10.0.0.1/"}}"#, refused("callbacks.returnUrl")),
            (r#"{"callbacks":{"other":"x"}}"#, refused("callbacks.other")),
            (r#"{"callbacks":[]}"#, refused("callbacks")),
            (r#"{"defaultCurrency":"BTC"}"#, refused("defaultCurrency")),
            (r#"{"supportEmail":"me"}"#, refused("supportEmail")),
            (r#"{"company":"x"}"#, refused("company")),
        ] {
            assert_eq!(read(text).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn what_is_taken() {
        let all = MerchantSettings::default();
        assert_eq!(all.payment_methods(&platform()), ["BTC.BTC", "ETH.ETH"]);
        let one = read(r#"{"allowedPaymentMethods":["ETH.ETH"]}"#).expect("settings");
        assert_eq!(one.payment_methods(&platform()), ["ETH.ETH"]);
        assert!(one.takes("ETH.ETH", &platform()));
        assert!(!one.takes("BTC.BTC", &platform()));
        assert!(one.takes("TRX.USDT", &platform()), "the platform's own business");
    }

    #[test]
    fn links_say_it_themselves_or_return_where_the_company_says() {
        let text = r#"{"callbacks":{"returnUrl":"https://shop.example/r","successUrl":"https://shop.example/s"}}"#;
        let mut facts =
            Facts { return_url: Some("https://own.example".to_owned()), ..Facts::default() };
        read(text).expect("settings").complete(&mut facts);
        assert_eq!(facts.return_url.as_deref(), Some("https://own.example"));
        assert_eq!(facts.success_url.as_deref(), Some("https://shop.example/s"));
        assert_eq!(facts.failure_url, None);
    }
}
