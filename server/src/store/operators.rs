//! What only operators ask for: every company, person and grant, those that are closed, shut out or over included.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, scope::ScopeSet};

use super::{Company, Membership, Result, User};
use crate::{
    audit::Actor,
    partner::{
        link::{LinkStatus, PaymentLink},
        payment::PaymentStatus,
    },
    people::role::Role,
};

/// A part of a list that is sorted.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// What sorts after this. Everything sorts after the empty text.
    pub after: &'a str,
    /// How many at most.
    pub limit: u32,
}

impl Part<'_> {
    /// All of it, of a list that is short.
    pub const WHOLE: Self = Self { after: "", limit: u32::MAX };
}

/// A company, with what an operator wants to know of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CompanyFacts {
    /// The company.
    pub company: Company,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was closed.
    pub closed_at: Option<UnixTime>,
    /// How many people act for it.
    pub people: u32,
    /// How many connections to it stand.
    pub connections: u32,
}

/// What became of a new name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Renamed {
    /// It is the name now.
    Done,
    /// Another company has it, perhaps a closed one.
    Taken,
    /// There is no such company.
    Unknown,
}

/// A person, with what an operator wants to know of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserFacts {
    /// The person's id.
    pub id: String,
    /// The address they sign in with.
    pub email: String,
    /// When they were added.
    pub created_at: UnixTime,
    /// When they were shut out.
    pub disabled_at: Option<UnixTime>,
    /// The open companies they act for, by name.
    pub places: Vec<Membership>,
    /// How many browsers are signed in.
    pub sessions: u32,
    /// Since when they have one-time codes turned on.
    pub codes_since: Option<UnixTime>,
}

/// A grant, with what an operator wants to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantFacts {
    /// The grant's id.
    pub id: String,
    /// The client.
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// The company.
    pub company: Company,
    /// The address of who approved; none when an application acts for its own company.
    pub approved_by: Option<String>,
    /// What it allows.
    pub scope: ScopeSet,
    /// When it was approved.
    pub created_at: UnixTime,
    /// When a code for it was first redeemed.
    pub redeemed_at: Option<UnixTime>,
    /// When it ended.
    pub ended_at: Option<UnixTime>,
    /// Why, in one word.
    pub ended_reason: Option<String>,
    /// When it was last used, as far as that is written.
    pub last_access: Option<UnixTime>,
}

/// Which grants. What is not said is not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrantQuery<'a> {
    /// Those of this company, by id.
    pub company_id: Option<&'a str>,
    /// Those of this client.
    pub client_id: Option<&'a str>,
    /// Those that are over as well.
    pub ended: bool,
}

/// A payment link, with what an operator wants to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFacts {
    /// The link.
    pub link: PaymentLink,
    /// Whose it is: the application or store that made it.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// The company that is paid.
    pub company: Company,
}

/// Which payment links. What is not said is not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkQuery<'a> {
    /// Those of this company, by id.
    pub company_id: Option<&'a str>,
    /// Those of this client.
    pub client_id: Option<&'a str>,
    /// Those that stand so.
    pub status: Option<LinkStatus>,
    /// Those whose newest payment stands so.
    pub payment: Option<PaymentStatus>,
}

/// What became of the end of a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GrantEnd {
    /// It is over, with its tokens.
    Done,
    /// It was over.
    Over,
    /// There is no such grant.
    Unknown,
}

/// Operations of operators.
#[async_trait]
pub trait Operators: Send + Sync {
    /// Adds a company. False when the name is taken.
    async fn found_company(&self, company: Company, actor: &Actor, now: UnixTime) -> Result<bool>;

    /// Adds a person. False when the address is known; nothing is changed then.
    async fn enroll(&self, user: User, actor: &Actor, now: UnixTime) -> Result<bool>;

    /// Gives a person a place in a company, or another role there.
    async fn place(
        &self,
        user_id: &str,
        company_id: &str,
        role: Role,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()>;

    /// Companies, closed ones as well, by name.
    async fn companies(&self, part: Part<'_>) -> Result<Vec<CompanyFacts>>;

    /// A company by name or id, closed or not.
    async fn company_facts(&self, name_or_id: &str) -> Result<Option<CompanyFacts>>;

    /// Gives a company another name.
    async fn rename_company(
        &self,
        id: &str,
        name: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Renamed>;

    /// Opens a company that was closed. What ended by that stays over. False when none of this id is closed.
    async fn reopen_company(&self, id: &str, actor: &Actor, now: UnixTime) -> Result<bool>;

    /// People, by address; those of one company, by its id, or all.
    async fn users(
        &self,
        company_id: Option<&str>,
        part: Part<'_>,
        now: UnixTime,
    ) -> Result<Vec<UserFacts>>;

    /// A person by address.
    async fn user_facts(&self, email: &str, now: UnixTime) -> Result<Option<UserFacts>>;

    /// Shuts a person out, ends their sessions, and the codes of theirs that nobody has redeemed; answers how many
    /// sessions. Nothing when there is no such person, or they were shut out before.
    async fn shut_out(&self, user_id: &str, actor: &Actor, now: UnixTime) -> Result<Option<usize>>;

    /// Lets a person in again. False when there is none who is shut out.
    async fn let_in(&self, user_id: &str, actor: &Actor, now: UnixTime) -> Result<bool>;

    /// Takes a person's one-time codes and recovery codes away, with links to a new password that wait, and ends their
    /// sessions; answers how many. Nothing when there is no such person, or codes are not turned on.
    async fn reset_codes(
        &self,
        user_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>>;

    /// Grants, by id.
    async fn grants(&self, query: GrantQuery<'_>, part: Part<'_>) -> Result<Vec<GrantFacts>>;

    /// Payment links of every grant, newest first; the part begins after a link's uid.
    async fn all_payment_links(
        &self,
        query: LinkQuery<'_>,
        part: Part<'_>,
    ) -> Result<Vec<LinkFacts>>;

    /// A grant by id.
    async fn grant_facts(&self, id: &str) -> Result<Option<GrantFacts>>;

    /// Ends a grant with its tokens, and disables what it was notified with.
    async fn revoke_grant(&self, id: &str, actor: &Actor, now: UnixTime) -> Result<GrantEnd>;

    /// How many answers with tokens, signed by a key of ours, clients may still ask for again, if they lost them.
    async fn answers_signed_by(&self, kid: &str) -> Result<u32>;

    /// Ends every grant of a native installation so, and keeps its registration. Answers how many; nothing when there is
    /// no such installation.
    async fn revoke_installation(
        &self,
        client_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>>;
}
