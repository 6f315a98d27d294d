//! `app rotate-secret` and `end-former-secret`.

use anyhow::{bail, ensure};
use counterfoil_protocol::secret::Secret;
use serde_json::json;

use super::{edit, find, must_be_done};
use crate::{
    cli::operator::{Operator, moment},
    oauth::application::{MAX_OVERLAP, overlap_end},
    store::{AppChange, Applications as _},
};

#[derive(clap::Args)]
pub struct Rotate {
    /// The application, `mco_app_…`.
    client_id: String,
    /// For so many hours the secret before works on, a week at most; 0 ends it at once.
    #[arg(long, value_name = "HOURS", default_value_t = 0)]
    overlap_hours: i64,
}

impl Rotate {
    pub async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Self { client_id, overlap_hours } = self;
        let (client, app) = find(operator, &client_id).await?;
        ensure!(client.is_confidential(), "{client_id} is public: it has no secret");
        let until = match overlap_hours.checked_mul(3_600) {
            Some(0) => None,
            seconds => {
                let until = seconds.and_then(|seconds| overlap_end(operator.now, seconds));
                if until.is_none() {
                    bail!("--overlap-hours is 0 to {}", MAX_OVERLAP / 3_600);
                }
                until
            }
        };
        let secret = Secret::new(operator.entropy.secret("mco_sec_"));
        let change = AppChange::Secret(secret.sha256(), until);
        let changed = operator.store.change_app(edit(operator, &client, &app), change).await?;
        must_be_done(changed, &client_id)?;
        let until = until.map(moment);
        let before =
            until.as_ref().map_or("The one before opens nothing any more.".to_owned(), |until| {
                format!("The one before works until {until}.")
            });
        let shown = secret.expose();
        operator.answer(
            &json!({ "client_id": client_id, "client_secret": shown, "former_secret_ends_at": until }),
            &format!("client_secret: {shown}\nThe secret is shown this once; only its hash is kept. {before}"),
        )
    }
}

/// Ends the secret before.
pub async fn end_former(operator: &Operator, client_id: &str) -> anyhow::Result<()> {
    let (client, app) = find(operator, client_id).await?;
    ensure!(
        app.former_secret_at(operator.now).is_some(),
        "{client_id} has no secret before that works on"
    );
    let edit = edit(operator, &client, &app);
    let changed = operator.store.change_app(edit, AppChange::EndFormerSecret).await?;
    must_be_done(changed, client_id)?;
    operator.answer(
        &json!({ "client_id": client_id, "former_secret_ended": true }),
        &format!("the secret before of {client_id} opens nothing any more"),
    )
}
