//! The command line. `run` is the daemon; everything else asks a running one through its admin socket.

mod admin;
mod adopt;
mod connect;
mod disconnect;
#[cfg(test)]
mod documented;
mod events;
mod moment;
mod paint;
mod reload;
mod run;
mod status;
mod webhook;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    config::Config,
    places::{Places, Service, Wishes},
};

/// Where the store's file is when nobody says.
const DEFAULT_CONFIG: &str = "/etc/counterfoil/store.toml";

/// Keeps one store connected to its payment platform.
#[derive(Debug, Parser)]
#[command(name = "counterfoild", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(run::Run),
    /// Say how the connection is, and what to do
    Status(status::StatusCommand),
    /// Tell what happened: registrations, renewals, failures, who called what
    Events(events::Events),
    /// Connect the store: prints the address to open, waits for the approval, names the company
    Connect(connect::Connect),
    /// Say that the store moved here: ends safe mode, and the connection goes on
    Adopt(adopt::Adopt),
    /// End the connection, here and at the payment platform
    Disconnect(disconnect::Disconnect),
    /// Have the daemon read the store's file again
    Reload(reload::Reload),
    /// The platform's notifications to the store
    Webhook(webhook::WebhookCommand),
}

/// How a daemon is found or placed.
#[derive(Args, Clone, Debug)]
struct Where {
    /// The store's file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the daemon keeps its state
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The socket for plugins; the owner's socket is admin.sock beside it
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub(crate) fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Run(run) => run.main(),
        Command::Adopt(adopt) => adopt.main(),
        Command::Status(status) => status.main(),
        Command::Events(events) => events.main(),
        Command::Connect(connect) => connect.main(),
        Command::Disconnect(disconnect) => disconnect.main(),
        Command::Reload(reload) => reload.main(),
        Command::Webhook(webhook) => webhook.main(),
    };
    outcome.unwrap_or_else(|error| {
        say_error(&format!("counterfoild: {error:#}"));
        ExitCode::FAILURE
    })
}

impl Where {
    fn wishes(&self) -> Wishes {
        Wishes { state_dir: self.state_dir.clone(), socket: self.socket.clone() }
    }

    fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }

    /// Where the daemon should be that these arguments speak of.
    fn find(&self) -> anyhow::Result<Places> {
        // A file that is named must be there; the usual one is only consulted if it is.
        let socket = match &self.config {
            Some(file) => Config::socket_in(file)?,
            None => Config::socket_in(&self.config_file()).ok().flatten(),
        };
        let places =
            Places::decide(&self.wishes(), &Service::from_environment(), socket.as_deref())?;
        // Without a flag, the daemon's own note knows better than what it should have been told.
        let noted = Places::recorded(&places.state_dir).filter(|_| self.socket.is_none());
        Ok(noted.unwrap_or(places))
    }
}

/// Says something to whoever reads; nobody has to.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Asks whether to go on. Without a terminal nobody can be asked, so `yes` must have been said before.
fn agreed(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    anyhow::ensure!(
        io::stdin().is_terminal(),
        "there is no terminal to ask on; to decide in a script, add --yes"
    );
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn say_error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
