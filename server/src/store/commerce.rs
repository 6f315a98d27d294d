//! What the partner API keeps of companies: customers, their subscriptions, settings, wallets.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{KeptReceipt, PartnerWrite, Result};
use crate::{
    audit::Actor,
    partner::{
        customer::Customer,
        recurring::Recurring,
        settings::KeptSettings,
        wallet::{Balance, Entry, Wallet},
    },
};

/// Something of a company as it is to be; version 1 is new, any other was decided on the version before it.
#[derive(Clone, Debug)]
pub struct CompanyWrite<T> {
    /// The thing, its version counted on.
    pub thing: T,
    /// The grant that asks.
    pub grant_id: String,
    /// Kept with it.
    pub receipt: Option<KeptReceipt>,
    /// The time now.
    pub now: UnixTime,
}

/// Which part of a list is wanted, newest first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Page {
    /// Those that come after the one of this id.
    pub after: Option<String>,
    /// So many at most.
    pub limit: u32,
}

/// A part of a list, or nothing when it should come after something that is not in the list.
pub type Listed<T> = Option<Vec<T>>;

/// What the ledger says of one company, to be stored.
#[derive(Clone, Debug)]
pub struct WalletImport {
    /// The company.
    pub company_id: String,
    /// The moment of which the balances are.
    pub as_of: UnixTime,
    /// All balances.
    pub balances: Vec<Balance>,
    /// Entries that are new or changed.
    pub activity: Vec<Entry>,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Imported {
    /// Wallets whose balances were set.
    pub balances: usize,
    /// Wallets whose balances were left alone: those that are kept are the same or newer.
    pub left_alone: usize,
    /// Entries that were new or had changed.
    pub entries: usize,
}

/// Operations on what belongs to companies.
#[async_trait]
pub trait Commerce: Send + Sync {
    /// Stores or changes a customer.
    async fn write_customer(&self, write: CompanyWrite<Customer>) -> Result<PartnerWrite>;

    /// Finds a customer of a company.
    async fn customer(&self, company_id: &str, id: &str) -> Result<Option<Customer>>;

    /// The customers of a company.
    async fn customers(&self, company_id: &str, page: &Page) -> Result<Listed<Customer>>;

    /// Stores or changes a subscription of a customer. A new one must name a customer of its company.
    async fn write_recurring(&self, write: CompanyWrite<Recurring>) -> Result<PartnerWrite>;

    /// Finds a subscription of a company.
    async fn recurring(&self, company_id: &str, id: &str) -> Result<Option<Recurring>>;

    /// The subscriptions of a company.
    async fn recurrings(&self, company_id: &str, page: &Page) -> Result<Listed<Recurring>>;

    /// Finds what a company has set; nothing if it never did.
    async fn merchant_settings(&self, company_id: &str) -> Result<Option<KeptSettings>>;

    /// Stores what a company sets, and notes who did.
    async fn write_merchant_settings(
        &self,
        write: CompanyWrite<KeptSettings>,
    ) -> Result<PartnerWrite>;

    /// Stores what the ledger says, and notes who brought it. All of it or nothing; the same again changes nothing.
    async fn import_wallets(
        &self,
        imports: Vec<WalletImport>,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Imported>;

    /// The balances of a company; nothing if none were imported.
    async fn wallet(&self, company_id: &str) -> Result<Option<Wallet>>;

    /// What moved a company's wallet, by time.
    async fn wallet_activity(&self, company_id: &str, page: &Page) -> Result<Listed<Entry>>;
}
