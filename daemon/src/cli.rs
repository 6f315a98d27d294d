//! The command line. `run` is the daemon; everything else asks a running one through its admin socket.

mod admin;
mod adopt;
mod bundle;
mod connect;
mod disconnect;
mod doctor;
#[cfg(test)]
mod documented;
mod events;
mod key;
mod log;
mod paint;
mod reload;
mod run;
mod separate;
mod status;
mod webhook;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

#[cfg(fuzzing)]
pub(crate) use self::run::run as run_daemon;
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
    /// Check everything that the connection hangs on, and say what to do
    Doctor(doctor::Doctor),
    /// Write a file that may be mailed to support: no secret is in it
    SupportBundle(bundle::SupportBundle),
    /// Tell what happened: registrations, renewals, failures, who called what
    Events(events::Events),
    /// Connect the store: prints the address to open, waits for the approval, names the company
    Connect(connect::Connect),
    /// Say that the store moved here: ends safe mode, and the connection goes on
    Adopt(adopt::Adopt),
    /// The key that the payment platform knows this store by
    Key(key::Key),
    /// Say that this is a store of its own: another key, another identity; the original is not touched
    Separate(separate::Separate),
    /// End the connection, here and at the payment platform
    Disconnect(disconnect::Disconnect),
    /// Say the log's level, or change it for a time
    Log(log::LogCommand),
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

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub(crate) fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Run(run) => run.main(),
        Command::Adopt(adopt) => adopt.main(),
        Command::Key(key) => key.main(),
        Command::Separate(separate) => separate.main(),
        Command::Status(status) => status.main(),
        Command::Doctor(doctor) => doctor.main(),
        Command::SupportBundle(bundle) => bundle.main(),
        Command::Events(events) => events.main(),
        Command::Connect(connect) => connect.main(),
        Command::Disconnect(disconnect) => disconnect.main(),
        Command::Log(log) => log.main(),
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

    /// The same, whatever is wrong with the store's file: that is for somebody else to say.
    fn look(&self) -> anyhow::Result<Places> {
        self.find().or_else(|_| {
            let text = std::fs::read_to_string(self.config_file()).unwrap_or_default();
            let config = Config::parse(&text).ok();
            let socket = config.and_then(|config| config.local.socket);
            Places::decide(&self.wishes(), &Service::from_environment(), socket.as_deref())
        })
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The units that are shipped, with their lines.
    fn units() -> Vec<(String, String)> {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd"));
        let files = fs::read_dir(dir).expect("units").map(|entry| entry.expect("a file"));
        let units = files.map(|file| {
            let name = file.file_name().into_string().expect("a name");
            (name, fs::read_to_string(file.path()).expect("a unit"))
        });
        units.collect()
    }

    fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
        let entries = unit.lines().filter_map(|line| line.split_once('='));
        entries.filter(|(found, _)| *found == key).map(|(_, value)| value).collect()
    }

    #[test]
    fn what_the_shipped_units_run_is_understood() {
        let mut commands = 0;
        for (name, unit) in units() {
            for key in ["ExecStart", "ExecReload"] {
                for line in values(&unit, key) {
                    let parsed = CommandLine::try_parse_from(line.split(' '));
                    let parsed = parsed.unwrap_or_else(|error| panic!("{name}: {error}")).command;
                    let good = match key {
                        "ExecStart" => matches!(parsed, Command::Run(_)),
                        _ => matches!(parsed, Command::Reload(_)),
                    };
                    assert!(good, "{name}: {line}");
                    commands += 1;
                }
            }
        }
        assert_eq!(commands, 4, "a service and its template, each starts and reloads");
    }

    #[test]
    fn shipped_units_agree_with_each_other() {
        let units = units();
        for (name, unit) in &units {
            for service in values(unit, "Service") {
                let file = service.replace("%i", "");
                let (_, service) = units.iter().find(|(name, _)| *name == file).expect("shipped");
                let socket =
                    if name.contains('@') { name.replace('@', "@%i") } else { name.clone() };
                let sockets = values(service, "Sockets").concat();
                assert!(sockets.split(' ').any(|it| it == socket), "{socket} of {file}");
                assert_eq!(values(unit, "SocketGroup").len(), 1, "{name}");
                let role = values(unit, "FileDescriptorName").concat();
                assert_eq!(role == "admin", name.contains("-admin"), "{name}");
                let mode = if role == "admin" { "0600" } else { "0660" };
                assert_eq!(values(unit, "SocketMode"), [mode], "{name}");
                let listens = values(unit, "ListenStream").concat();
                assert!(listens.ends_with(&format!("/{role}.sock")), "{name}: {listens}");
            }
        }
    }
}
