//! Connections as a company sees them: which there are and were, when they were used.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::Result;

/// Operations on a company's connections.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Notes when grants were last used. A grant that is gone is passed over, and no time goes backwards.
    async fn note_access(&self, uses: Vec<(String, UnixTime)>) -> Result<()>;

    /// When a grant was last used, as far as that was noted.
    async fn last_access(&self, grant_id: &str) -> Result<Option<UnixTime>>;
}
