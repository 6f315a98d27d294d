//! From names to addresses.

use std::{io, net::IpAddr};

use async_trait::async_trait;

/// Finds a name's addresses.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All of them, in the order in which they should be tried.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
pub struct System;

#[async_trait]
impl Resolve for System {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
