//! `counterfoild adopt`.

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

#[derive(Args, Debug)]
pub(super) struct Adopt {
    #[command(flatten)]
    place: Where,
    /// Make the connection one for the site with this home, which called and was a stranger
    #[arg(long, value_name = "HOME")]
    site: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Adopt {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let admin = Admin::order(&self.place).await?;
            let status = admin.ask(Method::GET, "/v1/admin/status", None).await?;
            let in_doubt = status.get("safe_mode").is_some_and(|it| !it.is_null());
            anyhow::ensure!(
                in_doubt || self.site.is_some(),
                "nothing says that this store is a copy, so there is nothing to adopt\nWhat to do: Run counterfoild status: it says how the connection is"
            );
            say(&match &self.site {
                Some(home) => format!(
                    "The connection will be for {home}, and the site that it is for now becomes a stranger."
                ),
                None => before(&status),
            });
            if !agreed("Is this so?", self.yes)? {
                bail!("nothing is changed");
            }
            let answer = admin
                .ask(Method::POST, "/v1/admin/adopt", Some(json!({ "site": self.site })))
                .await?;
            for path in ["summary", "next_step"] {
                say(answer.get(path).and_then(Value::as_str).unwrap_or_default());
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// What is seen, and what adopting means.
fn before(status: &Value) -> String {
    let evidence = status.pointer("/safe_mode/evidence").and_then(Value::as_array);
    let signs = evidence.into_iter().flatten().filter_map(|sign| sign.get("message")?.as_str());
    let signs = signs.fold(String::new(), |told, sign| told + "- " + sign + "\n");
    format!(
        "{signs}Adopting means: the store moved here, and nowhere else does a daemon run with this state. If an original \
         is still in use, the payment platform ends the connection of both."
    )
}
