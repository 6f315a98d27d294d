//! The letters that people get.

use askama::Template;

use super::Letter;

/// A link to a new password.
#[derive(Template)]
#[template(path = "mail/reset.txt")]
pub struct Reset<'a> {
    /// The platform.
    pub brand: &'a str,
    /// The link.
    pub link: &'a str,
    /// Minutes for which it works.
    pub minutes: i64,
}

impl Letter for Reset<'_> {
    fn subject(&self) -> String {
        format!("{}: choose a new password", self.brand)
    }
}

/// An invitation into a company.
#[derive(Template)]
#[template(path = "mail/invitation.txt")]
pub struct Invitation<'a> {
    /// The platform.
    pub brand: &'a str,
    /// The company.
    pub company: &'a str,
    /// What the person will be there.
    pub role: &'a str,
    /// Who invites; nobody when it is the operator.
    pub by: Option<&'a str>,
    /// The link.
    pub link: &'a str,
    /// Days for which it works.
    pub days: i64,
}

impl Letter for Invitation<'_> {
    fn subject(&self) -> String {
        format!("{}: an invitation to {}", self.brand, self.company)
    }
}

/// A notice that something about somebody's account was changed.
#[derive(Template)]
#[template(path = "mail/notice.txt")]
pub struct Notice<'a> {
    /// The platform.
    pub brand: &'a str,
    /// What happened, as a sentence.
    pub what: &'a str,
    /// What to do if it was somebody else.
    pub otherwise: &'a str,
    /// The page of the account.
    pub link: &'a str,
    /// When, in words.
    pub at: &'a str,
}

impl Letter for Notice<'_> {
    fn subject(&self) -> String {
        format!("{}: your account was changed", self.brand)
    }
}
