//! The command line. One file a command; all of them open the data directory themselves, so they work while the server
//! runs.

mod app;
mod audit;
mod backup;
mod check;
mod company;
mod confirm;
mod grant;
mod init;
mod installation;
mod key;
mod logging;
mod mail;
mod operator;
mod part;
mod payment_link;
mod profile;
mod reach;
mod serve;
mod user;
mod wallet;
mod webhook;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use serde_json::json;

use self::operator::Operator;
use crate::config::{self, Config, LogFormat, Overrides};

/// What is true of every command.
const NOTES: &str = "\
Commands open the data directory themselves, so they work while the server runs; `restore` alone needs it stopped. Run them
as the server's user, and with the server's --config. A secret is read from stdin or a file, never from the arguments.

Exit status: 0 done; 1 not done, and stderr says why; 2 the arguments are wrong.

First run: init, then serve. What each command answers with --json: docs/server-commands.md.";

/// The heading in the help of what goes with every command.
const EVERYWHERE: &str = "Options of every command";

/// The OAuth server of a payment platform.
#[derive(Parser)]
#[command(name = "counterfoil-server", version, about, propagate_version = true, after_help = NOTES)]
struct Cli {
    /// Settings, a TOML file. Every setting is also a variable: `COUNTERFOIL_LISTEN`, `COUNTERFOIL_LIMITS_BODY`, …
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE)]
    config: Option<PathBuf>,
    /// The directory of everything the server keeps.
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    data_dir: Option<PathBuf>,
    /// Answers in JSON on stdout, and refuses in JSON on stderr.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// How log lines are written.
    #[arg(long, global = true, value_name = "FORMAT", help_heading = EVERYWHERE)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a company, and a link with which its first owner chooses a password.
    Init(init::Arguments),
    /// Looks at settings, files, keys and database, and says what to do.
    Check(serve::Arguments),
    /// Runs the server.
    Serve(serve::Arguments),
    /// Companies: whose money it is.
    #[command(subcommand)]
    Company(company::Command),
    /// People who sign in and approve connections.
    #[command(subcommand)]
    User(user::Command),
    /// Partner applications.
    #[command(subcommand)]
    App(app::Command),
    /// Stores that registered themselves.
    #[command(subcommand)]
    Installation(installation::Command),
    /// What companies allowed stores and applications.
    #[command(subcommand)]
    Grant(grant::Command),
    /// Payment links: what is asked for, and how its payments move.
    #[command(subcommand)]
    PaymentLink(payment_link::Command),
    /// Notifications: endpoints, deliveries, and what to do about them.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Wallets: what the platform's ledger says, for the partner API to show.
    #[command(subcommand)]
    Wallet(wallet::Command),
    /// Letters to people.
    #[command(subcommand)]
    Mail(mail::Command),
    /// Calls an address as notifications are sent, and says what comes of it.
    Reach(reach::Arguments),
    /// Integration profiles: which platforms' stores may register themselves.
    #[command(subcommand)]
    Profile(profile::Command),
    /// The keys that sign access tokens.
    #[command(subcommand)]
    Key(key::Command),
    /// The audit trail: who did what, when.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Writes a backup while the server runs.
    Backup(backup::Backup),
    /// Puts a backup in its place, and says which revocations that undoes.
    Restore(backup::Restore),
}

/// Runs the command. 0: done. 1: not done, and stderr says why. 2: the arguments are wrong.
pub fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json(&arguments) => {
            let text = error.to_string();
            let sentence = text.strip_prefix("error: ").unwrap_or(&text);
            refuse(true, "wrong_arguments", sentence.trim_end());
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let json = cli.json;
    execute(cli).unwrap_or_else(|error| {
        refuse(json, "not_done", &format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Whether arguments that cannot be read ask for JSON all the same.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json")
}

/// Says on stderr why nothing was done: an object for programs, or a line for people.
fn refuse(json: bool, code: &str, sentence: &str) {
    let mut out = io::stderr().lock();
    // Where nobody listens, the exit status says it.
    let _ = if json {
        writeln!(out, "{:#}", json!({ "error": code, "message": sentence }))
    } else {
        writeln!(out, "counterfoil-server: {sentence}")
    };
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut overrides = Overrides {
        config: cli.config,
        data_dir: cli.data_dir,
        log_format: cli.log_format,
        ..Overrides::default()
    };
    overrides.as_served = !matches!(cli.command, Command::Serve(_) | Command::Check(_));
    let operator = |overrides| Operator::open(settings(overrides)?, cli.json);
    let founder = |overrides| Operator::found(settings(overrides)?, cli.json);
    match cli.command {
        Command::Serve(arguments) => {
            arguments.give(&mut overrides);
            return serve::run(settings(overrides)?);
        }
        Command::Init(mut arguments) => {
            overrides.issuer = arguments.issuer.take();
            arguments.run(&founder(overrides)?)?;
        }
        Command::Company(command @ company::Command::Add { .. }) => {
            command.run(&founder(overrides)?)?;
        }
        Command::Company(command) => command.run(&operator(overrides)?)?,
        Command::User(command) => {
            overrides.issuer = command.issuer();
            command.run(&operator(overrides)?)?;
        }
        Command::App(command) => command.run(&operator(overrides)?)?,
        Command::Profile(command) => command.run(&settings(overrides)?, cli.json)?,
        Command::Key(command) => {
            command.run(&Operator::of_keys(settings(overrides)?, cli.json)?)?;
        }
        Command::Installation(command) => command.run(&operator(overrides)?)?,
        Command::Grant(command) => command.run(&operator(overrides)?)?,
        Command::Mail(command) => command.run(&operator(overrides)?)?,
        Command::PaymentLink(command) => command.run(&operator(overrides)?)?,
        Command::Webhook(command) => command.run(&operator(overrides)?)?,
        Command::Reach(arguments) => {
            return reach::run(arguments, &settings(overrides)?, cli.json);
        }
        Command::Audit(command) => return command.run(&operator(overrides)?),
        Command::Check(arguments) => {
            arguments.give(&mut overrides);
            return check::run(settings(overrides), cli.json);
        }
        Command::Backup(backup) => backup.run(&operator(overrides)?)?,
        Command::Restore(restore) => restore.run(&settings(overrides)?, cli.json)?,
        Command::Wallet(command) => command.run(&operator(overrides)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(overrides: Overrides) -> anyhow::Result<Config> {
    // A variable that is not Unicode cannot be one of ours: their names are plain.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(config::load(overrides, environment)?)
}

#[cfg(test)]
mod tests;
