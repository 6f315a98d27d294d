//! What a developer may register: names that do not deceive, callbacks that are exact, scopes that there are.

use std::{collections::BTreeSet, fmt};

use counterfoil_protocol::{
    UnixTime,
    callback::{LocalHosts, RedirectUri, UriRefusal, vet_url},
    scope::ScopeSet,
};

/// The most applications of a company.
pub const MAX_APPLICATIONS: usize = 100;

/// The most callbacks of an application.
pub const MAX_REDIRECT_URIS: usize = 20;

/// The most characters of a name.
pub const MAX_NAME: usize = 60;

/// The most bytes of a support contact or a link.
pub const MAX_LINK: usize = 500;

/// For so many seconds at most a secret that was replaced still opens: a week.
pub const MAX_OVERLAP: i64 = 7 * 24 * 3600;

/// What somebody wrote about an application.
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    /// The name that merchants are shown.
    pub name: &'a str,
    /// Its callbacks.
    pub redirect_uris: Vec<&'a str>,
    /// The scopes it may ask for.
    pub scopes: Vec<&'a str>,
    /// Whom to ask for help; empty for nobody.
    pub support: &'a str,
    /// Its privacy policy; empty for none.
    pub privacy_url: &'a str,
    /// Its terms; empty for none.
    pub terms_url: &'a str,
}

/// What may be registered, and changed later.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name that merchants are shown.
    pub name: String,
    /// Its callbacks.
    pub redirect_uris: Vec<RedirectUri>,
    /// The scopes it may ask for.
    pub scopes: ScopeSet,
    /// Whom to ask for help: an e-mail address or an https link.
    pub support: Option<String>,
    /// Its privacy policy.
    pub privacy_url: Option<String>,
    /// Its terms.
    pub terms_url: Option<String>,
}

/// A part of what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// The name.
    Name,
    /// The callbacks.
    RedirectUris,
    /// The scopes.
    Scopes,
    /// The support contact.
    Support,
    /// The privacy policy.
    PrivacyUrl,
    /// The terms.
    TermsUrl,
}

impl Field {
    /// Its name in the form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::RedirectUris => "redirect_uris",
            Self::Scopes => "scopes",
            Self::Support => "support",
            Self::PrivacyUrl => "privacy_url",
            Self::TermsUrl => "terms_url",
        }
    }
}

/// What is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where.
    pub field: Field,
    /// What, in a sentence.
    pub sentence: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// Judges a draft. `known` are the scopes that there are.
///
/// An application that sends no people here, a resource server say, may have neither callback nor scope.
pub fn judge(
    draft: &Draft<'_>,
    known: &BTreeSet<&str>,
    sends_people: bool,
) -> Result<Settings, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut say = |field, sentence| faults.push(Fault { field, sentence });
    let name = name(draft.name).map_err(|sentence| say(Field::Name, sentence));
    let redirect_uris = redirect_uris(&draft.redirect_uris, sends_people)
        .map_err(|sentence| say(Field::RedirectUris, sentence));
    let scopes =
        scopes(&draft.scopes, known, sends_people).map_err(|sentence| say(Field::Scopes, sentence));
    let support = optional(draft.support, |text| is_address(text) || is_link(text));
    let support = support.map_err(|NotGood| {
        let sentence = "The support contact is an e-mail address or an https link.";
        say(Field::Support, sentence.to_owned());
    });
    let mut link = |field, what, text| {
        optional(text, is_link).map_err(|NotGood| {
            say(field, format!("The {what} is a link that begins with https://."));
        })
    };
    let privacy_url = link(Field::PrivacyUrl, "privacy policy", draft.privacy_url);
    let terms_url = link(Field::TermsUrl, "terms page", draft.terms_url);
    match (name, redirect_uris, scopes, support, privacy_url, terms_url) {
        (Ok(name), Ok(redirect_uris), Ok(scopes), Ok(support), Ok(privacy_url), Ok(terms_url)) => {
            Ok(Settings { name, redirect_uris, scopes, support, privacy_url, terms_url })
        }
        _ => Err(faults),
    }
}

/// When a secret that is replaced at `now` ends, if it may work on for so many seconds.
#[must_use]
pub fn overlap_end(now: UnixTime, seconds: i64) -> Option<UnixTime> {
    (1..=MAX_OVERLAP).contains(&seconds).then(|| now + seconds)
}

/// A name as people read it: one line, with spaces where there was white space.
fn name(text: &str) -> Result<String, String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(format!("The name has 1 to {MAX_NAME} characters."));
    }
    if name.chars().any(is_deceptive) {
        return Err("The name has characters that nobody can see.".to_owned());
    }
    Ok(name)
}

/// Characters that are not seen, or that change what is seen around them: controls, bidirectional marks, joiners,
/// fillers, tags, and what belongs to nobody.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// The schemes of redirect URIs, for people.
const SCHEMES: &str = "Use https; http goes on 127.0.0.1 and [::1] alone, and an app on people's own machines may have a scheme that is a reversed domain (com.example.app:/callback).";

fn redirect_uris(texts: &[&str], needed: bool) -> Result<Vec<RedirectUri>, String> {
    if texts.len() > MAX_REDIRECT_URIS {
        return Err(format!("An application has at most {MAX_REDIRECT_URIS} redirect URIs."));
    }
    if texts.is_empty() && needed {
        return Err("An application needs at least one redirect URI.".to_owned());
    }
    let mut uris: Vec<RedirectUri> = Vec::new();
    for text in texts {
        let uri = RedirectUri::parse(text).map_err(|refusal| match refusal {
            UriRefusal::Scheme => format!("{text}: {refusal}. {SCHEMES}"),
            _ => format!("{text}: {refusal}."),
        })?;
        if uris.contains(&uri) {
            return Err(format!("{text} is given twice."));
        }
        uris.push(uri);
    }
    Ok(uris)
}

fn scopes(names: &[&str], known: &BTreeSet<&str>, needed: bool) -> Result<ScopeSet, String> {
    if let Some(unknown) = names.iter().find(|name| !known.contains(*name)) {
        let known: Vec<_> = known.iter().copied().collect();
        return Err(format!("There is no scope {unknown:?}; there are: {}.", known.join(", ")));
    }
    if names.is_empty() && needed {
        return Err("An application needs at least one scope.".to_owned());
    }
    ScopeSet::from_names(names.iter().copied()).map_err(|error| format!("{error}."))
}

/// A text that is not what was asked for.
struct NotGood;

/// Nothing for an empty text; else the text, if it is good.
fn optional(text: &str, is_good: impl Fn(&str) -> bool) -> Result<Option<String>, NotGood> {
    match text.trim() {
        "" => Ok(None),
        text if text.len() <= MAX_LINK && is_good(text) => Ok(Some(text.to_owned())),
        _ => Err(NotGood),
    }
}

fn is_link(text: &str) -> bool {
    vet_url(text, LocalHosts::Refused).is_ok()
}

/// Whether this can stand after `mailto:` and mean one address (RFC 6068), nothing else.
fn is_address(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_+".contains(&b);
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 254
        && !local.is_empty()
        && local.bytes().all(plain)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
