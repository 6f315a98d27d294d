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
mod meant;
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
    sync::OnceLock,
};

use clap::{Args, Parser, Subcommand};

use self::meant::Meant;
#[cfg(fuzzing)]
pub(crate) use self::run::run as run_daemon;
use crate::{
    advice::{quoted, with_place},
    config::{Config, ConfigError},
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

/// Where a daemon is looked for.
struct Found {
    places: Places,
    /// What is wrong with the store's file, with its name.
    trouble: Option<String>,
    /// Whether the daemon is there or nowhere: false where the file that would say it cannot be used.
    is_sure: bool,
    /// Whether it can only be the one that is meant: a file of one store's never leads to orders for another's daemon.
    is_meant: bool,
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

    /// The flags that lead to the same daemon from anywhere; none, where none were needed.
    fn flags(&self) -> String {
        let config = self.config.as_ref().filter(|file| file.as_os_str() != DEFAULT_CONFIG);
        let flags = [
            ("--config", config),
            ("--state-dir", self.state_dir.as_ref()),
            ("--socket", self.socket.as_ref()),
        ];
        let given = flags.into_iter().filter_map(|(flag, path)| Some((flag, path?)));
        let whole = given.map(|(flag, path)| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            format!("{flag} {}", quoted(&path.to_string_lossy()))
        });
        whole.collect::<Vec<_>>().join(" ")
    }

    /// The flags of a command that leads to the daemon that runs in these places by these arguments: those that it
    /// was given, and its state directory, where neither they nor the store's file say where it listens.
    fn flags_to(&self, places: &Places, config: &Config) -> String {
        let says = self.socket.is_some() || config.local.socket.is_some();
        let state_dir = self.state_dir.clone().or((!says).then(|| places.state_dir.clone()));
        Self { state_dir, ..self.clone() }.flags()
    }

    /// The store's file, whole: commands that name it are run from anywhere.
    fn config_file(&self) -> PathBuf {
        let file = self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
        std::path::absolute(&file).unwrap_or(file)
    }

    /// What these arguments say of the daemon besides its socket.
    ///
    /// The usual store's file counts where it is what leads to the daemon.
    fn meant(&self) -> Meant {
        let leads = self.socket.is_none() && self.state_dir.is_none();
        let usual = Some(PathBuf::from(DEFAULT_CONFIG)).filter(|file| leads && file.exists());
        Meant { state_dir: self.state_dir.clone(), config: self.config.clone().or(usual) }
    }

    /// Where the daemon should be that these arguments speak of; what is wrong with the store's file is said first.
    fn find(&self) -> anyhow::Result<Found> {
        let found = self.look()?;
        if let Some(trouble) = &found.trouble {
            say_error(&format!("counterfoild: {trouble}."));
        }
        Ok(found)
    }

    /// The same, and nothing is said.
    fn look(&self) -> anyhow::Result<Found> {
        let _ = PLACE.set(self.flags());
        let (socket, trouble) = match self.socket_in_file() {
            Ok(socket) => (socket, None),
            Err(error) => (None, Some(self.in_the_file(&error))),
        };
        let places =
            Places::decide(&self.wishes(), &Service::from_environment(), socket.as_deref())?;
        // Without a flag, the daemon's own note knows better than what it should have been told.
        let noted = Places::recorded(&places.state_dir).filter(|_| self.socket.is_none());
        let is_sure = trouble.is_none() || self.socket.is_some() || noted.is_some();
        let is_placed = self.socket.is_some()
            || self.state_dir.is_some()
            || std::env::var_os("STATE_DIRECTORY").is_some();
        let is_meant = trouble.is_none() || self.config.is_none() || is_placed;
        Ok(Found { places: noted.unwrap_or(places), trouble, is_sure, is_meant })
    }

    fn socket_in_file(&self) -> Result<Option<PathBuf>, ConfigError> {
        match Config::socket_in(&self.config_file()) {
            // A file that is named must be there; the usual one is only consulted if it is.
            Err(ConfigError::Unreadable { why, .. })
                if self.config.is_none() && why.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            // With a flag, the file has nothing to say about where the daemon is.
            Err(_) if self.config.is_none() && self.socket.is_some() => Ok(None),
            read => read,
        }
    }

    /// What is wrong with the store's file, and which file it is.
    fn in_the_file(&self, error: &ConfigError) -> String {
        match error {
            ConfigError::Unreadable { .. } => error.to_string(),
            _ => format!("{}: {error}", self.config_file().display()),
        }
    }
}

/// Flags that were given to find the daemon: commands that people are told to run carry them as well.
static PLACE: OnceLock<String> = OnceLock::new();

/// Says something to people; nobody has to read it.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", placed(text));
}

/// Says something to programs, as it is.
fn say_json(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A text whose commands find the same daemon.
fn placed(text: &str) -> String {
    with_place(text, PLACE.get().map(String::as_str).unwrap_or_default())
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
    let _ = writeln!(io::stderr(), "{}", placed(text));
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
    fn the_stores_file_is_named_whole() {
        let here = std::env::current_dir().expect("a directory");
        for (given, expected) in [
            (Some("store.toml"), here.join("store.toml")),
            (Some("/srv/store.toml"), PathBuf::from("/srv/store.toml")),
            (None, PathBuf::from(DEFAULT_CONFIG)),
        ] {
            let place = Where { config: given.map(PathBuf::from), state_dir: None, socket: None };
            assert_eq!(place.config_file(), expected);
        }
    }

    #[test]
    fn advice_leads_to_the_daemon_by_what_it_was_started_with() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("store.toml");
        let named = format!("--config {}", file.display());
        let store = "platform = \"medusa\"\nissuer = \"http://127.0.0.1:1\"\n\
            site_url = \"http://127.0.0.1:2\"\nredirect_uri = \"http://127.0.0.1:2/cb\"\n";
        for (is_named, state_dir, socket, says, expected) in [
            (true, None, None, true, named.clone()),
            (true, None, None, false, format!("{named} --state-dir /var/s")),
            (true, Some("/var/s"), None, true, format!("{named} --state-dir /var/s")),
            (true, None, Some("/r/api.sock"), false, format!("{named} --socket /r/api.sock")),
            (false, None, None, true, String::new()),
            (false, None, None, false, "--state-dir /var/s".to_owned()),
        ] {
            let local = if says { "[local]\nsocket = \"/r/api.sock\"\n" } else { "" };
            fs::write(&file, format!("{store}{local}")).expect("written");
            let config = Config::read(&file).expect("a store");
            let place = Where {
                config: is_named.then(|| file.clone()),
                state_dir: state_dir.map(PathBuf::from),
                socket: socket.map(PathBuf::from),
            };
            let places = Places {
                state_dir: "/var/s".into(),
                api_socket: "/r/api.sock".into(),
                admin_socket: "/r/admin.sock".into(),
            };
            assert_eq!(place.flags_to(&places, &config), expected);
        }
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
    #[test]
    fn a_file_that_cannot_be_used_is_told_and_the_daemon_is_looked_for_all_the_same() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("store.toml");
        let state = dir.path().join("state");
        fs::create_dir(&state).expect("made");
        let socket = Path::new("/srv/shop/api.sock");
        let text = "[local]\nsocket = \"/srv/shop/api.sock\"\n";
        let at = |flag: Option<&Path>| Where {
            config: Some(file.clone()),
            state_dir: Some(state.clone()),
            socket: flag.map(Path::to_owned),
        };
        let own = state.join("api.sock");
        for (text, mode, flag, says, expected, is_sure) in [
            (Some(text), 0o600, None, None, socket, true),
            (Some("[local\nsocket"), 0o600, None, Some("line 1"), &own, false),
            (Some("[local\nsocket"), 0o600, Some(socket), Some("line 1"), socket, true),
            (Some(text), 0o602, None, Some("can be written by others"), &own, false),
            (None, 0, None, Some("No such file"), &own, false),
        ] {
            let _ = fs::remove_file(&file);
            if let Some(text) = text {
                fs::write(&file, text).expect("written");
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
            }
            let found = at(flag).look().expect("found");
            assert_eq!(found.places.api_socket, expected, "{says:?}");
            assert_eq!(found.is_sure, is_sure, "{says:?}");
            let trouble = found.trouble.as_deref().unwrap_or_default();
            assert_eq!(trouble.is_empty(), says.is_none(), "{trouble}");
            assert!(trouble.contains(says.unwrap_or_default()), "{trouble}");
            let name = file.to_str().expect("a name");
            assert!(says.is_none() || trouble.contains(name), "{trouble}");
        }
        let unplaced = Where { config: Some(file.clone()), state_dir: None, socket: None };
        assert!(!unplaced.look().expect("found").is_meant);
        assert!(at(None).look().expect("found").is_meant);
        let noted = at(Some(socket)).look().expect("found").places;
        noted.record().expect("noted");
        let found = at(None).look().expect("found");
        assert_eq!((found.places.api_socket.as_path(), found.is_sure), (socket, true), "the note");
    }
}
