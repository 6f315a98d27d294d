//! Applications that companies register: what developers make, change and delete.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Part, Result};
use crate::{
    audit::Actor,
    oauth::{application::Settings, client::Client},
};

/// What became of an application that was to be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddedApp {
    /// It is there.
    Added,
    /// One of this id was there, or had been: nothing was changed.
    Known,
    /// Its company has as many as it may have.
    Full,
    /// Its company was closed.
    Closed,
}

/// Which application is changed, as it was read, by whom and when.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The application.
    pub client_id: String,
    /// Its company.
    pub company_id: String,
    /// Its version as it was read.
    pub version: i64,
    /// Who changes it.
    pub by: Actor,
    /// The time now.
    pub now: UnixTime,
}

/// What is to be changed of an application.
#[derive(Clone, Debug)]
pub enum AppChange {
    /// Its settings.
    Settings(Settings),
    /// Its picture, or that it has none.
    Icon(Option<Picture>),
    /// Its secret, by hash. The one before opens until then, if a time is given; the one before that no more.
    Secret([u8; 32], Option<UnixTime>),
    /// The secret before opens no more.
    EndFormerSecret,
}

/// A picture, by its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    /// Its name, a hash.
    pub hash: String,
    /// The picture, a PNG.
    pub png: Vec<u8>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changed {
    /// It was made.
    Done,
    /// Somebody else changed the application meanwhile, or it has nothing to be changed: read and decide again.
    Raced,
    /// The company has no such application.
    Unknown,
}

/// Operations on applications. One that was deleted is not found by any of them.
#[async_trait]
pub trait Applications: Send + Sync {
    /// Adds an application to an open company that has fewer than `most`.
    async fn add_app(&self, app: Client, by: &Actor, most: usize) -> Result<AddedApp>;

    /// The applications of a company, or of all open ones, by name; a part goes on after an application's id.
    async fn apps(&self, company_id: Option<&str>, part: Part<'_>) -> Result<Vec<Client>>;

    /// Changes an application, if it is still as it was read.
    async fn change_app(&self, edit: Edit, change: AppChange) -> Result<Changed>;

    /// The companies that an application is connected to at present, its own grants aside.
    async fn connected_to(&self, client_id: &str) -> Result<usize>;

    /// Deletes an application of a company: every grant of it ends, with codes and tokens. Answers how many grants;
    /// nothing when there is no such application.
    async fn delete_app(
        &self,
        client_id: &str,
        company_id: &str,
        by: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>>;

    /// A picture by its name.
    async fn picture(&self, hash: &str) -> Result<Option<Vec<u8>>>;
}
