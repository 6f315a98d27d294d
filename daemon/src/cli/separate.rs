//! `counterfoild separate`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    agreed, say,
};

/// What a copy loses.
const COPY: &str = "The copied key and tokens are destroyed here, without a word to the payment platform, and this \
    store gets a key and an identity of its own. The original goes on.";

/// What a store loses that is no copy.
const NO_COPY: &str = "Nothing says that this is a copy. Its key and its connection are destroyed here for good; the \
    payment platform is not told, so the merchant must revoke this store there. To end a connection in order, run \
    counterfoild disconnect first.";

#[derive(Args, Debug)]
pub(super) struct Separate {
    #[command(flatten)]
    place: Where,
    /// Also give up an installation of which nothing says that it is a copy
    #[arg(long)]
    abandon: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Separate {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let admin = Admin::order(&self.place).await?;
            let status = admin.ask(Method::GET, "/v1/admin/status", None).await?;
            let is_copy = status.get("safe_mode").is_some_and(|it| !it.is_null());
            if is_copy || self.abandon {
                say(if is_copy { COPY } else { NO_COPY });
                if !agreed("Go on?", self.yes)? {
                    bail!("nothing is changed");
                }
            }
            let body = json!({ "abandon": self.abandon });
            let answer = admin.ask(Method::POST, "/v1/admin/separate", Some(body)).await?;
            let word =
                |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or_default();
            say(word("/summary"));
            if !word("/leftover/grant_id").is_empty() {
                let (grant, client) = (word("/leftover/grant_id"), word("/leftover/client_id"));
                say(&format!(
                    "Still standing at the payment platform: the approval {grant} for the installation {client}."
                ));
            }
            say(word("/next_step"));
            Ok(ExitCode::SUCCESS)
        })
    }
}
