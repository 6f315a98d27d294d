use clap::CommandFactory as _;

use super::*;

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["counterfoil-server"], arguments].concat())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_data_directory_goes_before_or_after_the_command() {
    for arguments in [
        ["--data-dir", "d", "--config", "c", "--json", "company", "add", "n"],
        ["company", "--data-dir", "d", "--config", "c", "--json", "add", "n"],
        ["company", "add", "n", "--json", "--config", "c", "--data-dir", "d"],
    ] {
        let cli = parse(&arguments).expect("parses");
        assert_eq!(cli.data_dir, Some(PathBuf::from("d")));
        assert_eq!(cli.config, Some(PathBuf::from("c")));
        assert!(cli.json);
    }
}

#[test]
fn every_command_that_scripts_hold_on_to() {
    for line in [
        "serve --issuer https://pay.example --listen 0.0.0.0:443 --data-dir d --config f",
        "serve --trusted-proxy 10.0.0.0/8 --trusted-proxy 192.0.2.1",
        "serve --tls-certificate c --tls-key k --log-format json",
        "init --company Shop --email a@b --issuer https://pay.example",
        "company add Shop",
        "company close Shop",
        "company close Shop --yes",
        "company list --limit 10 --after Shop",
        "company show Shop",
        "company rename Shop Store",
        "company reopen Shop",
        "user list --company Shop",
        "user show a@b",
        "user disable a@b",
        "user enable a@b",
        "user remove a@b --company Shop",
        "user reset-codes a@b --issuer https://a.example --yes",
        "grant list --company Shop --client mco_app_x --ended",
        "grant revoke mco_grant_x --yes",
        "installation revoke mco_app_x --yes",
        "user add --email a@b --company Shop --role admin --password-stdin",
        "app add --name N --company Shop --redirect-uri https://a.example/cb --scope x,y --scope z",
        "app add --name N --company Shop --redirect-uri http://127.0.0.1/cb --scope x --public",
        "app add --name N --company Shop --resource-server",
        "app add --name N --company Shop --support a@b.c --privacy-url https://a.b --terms-url https://a.b --icon i.png",
        "app list",
        "app list --company Shop --limit 10 --after mco_app_x",
        "app show mco_app_x",
        "app rotate-secret mco_app_x",
        "app rotate-secret mco_app_x --overlap-hours 24",
        "app end-former-secret mco_app_x",
        "app remove mco_app_x --yes",
        "profile list",
        "profile check file.toml",
        "key rotate",
        "key rotate --algorithm RS256 --after 3600",
        "key rotate --now",
        "key list",
        "key retire abc --yes",
        "key retire -abc_ --yes",
        "installation list",
        "installation list --limit 10 --after x",
        "payment-link list --company Shop --client mco_app_x --status archived --payment complete --limit 9 --after pl_x",
        "payment-link show pl_x",
        "payment-link set-status pl_x complete --amount 49.90 --session s",
        "installation show mco_app_x",
        "installation release mco_app_x --yes",
        "mail test ana@shop.example",
        "audit list --client mco_app_x --limit 10 --before 7",
        "audit export --company Shop --since 2026-01-31 --until 2026-02-01T00:00:00Z",
        "audit verify",
        "backup --to b --with-keys",
        "restore --from b --force",
        "check",
    ] {
        parse(&line.split(' ').collect::<Vec<_>>()).map(drop).expect(line);
    }
}

/// Every command with its subcommands, by name.
fn every(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
    found.push((name.to_owned(), command.clone()));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        every(below, &format!("{name} {}", below.get_name()), found);
    }
}

#[test]
fn help_shows_a_command_s_own_options_first() {
    let mut root = Cli::command();
    root.build();
    let mut commands = Vec::new();
    every(&root, "counterfoil-server", &mut commands);
    assert!(commands.len() > 50, "{}", commands.len());
    for (name, mut command) in commands {
        let help = command.render_help().to_string();
        let (own, common) = help.split_once(&format!("\n{EVERYWHERE}:\n")).expect(&name);
        for option in ["--config", "--data-dir", "--json", "--log-format"] {
            assert!(
                common.contains(option) && !own.contains(&format!(" {option} ")),
                "{name}: {help}"
            );
        }
        assert!(
            !help.contains("[default: ]") && !help.contains("[default: \"\"]"),
            "{name}: {help}"
        );
    }
}

#[test]
fn json_is_asked_for_before_the_values() {
    let asks = |line: &str| wants_json(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert!(asks("counterfoil-server --json company add"));
    assert!(asks("counterfoil-server company add --jsn --json"));
    assert!(!asks("counterfoil-server company add"));
    assert!(!asks("counterfoil-server company add -- --json"));
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    for line in [
        "user add --email a@b --company Shop --password secret",
        "user add --email a@b --company Shop --password-stdin=secret",
        "app add --name N --company Shop --client-secret secret",
        "app add --name N --company Shop --public --resource-server",
        "app rotate-secret mco_app_x --client-secret secret",
        "key rotate --algorithm none",
        "key rotate --after 59",
        "key rotate --after 600 --now",
    ] {
        assert!(parse(&line.split(' ').collect::<Vec<_>>()).is_err(), "{line}");
    }
}

/// Runs a command line on a data directory of its own.
struct Shell(tempfile::TempDir);

impl Shell {
    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let data = self.0.path().join("data");
        let data = ["--data-dir", data.to_str().expect("text")];
        let cli = parse(&[&data, arguments].concat()).map_err(|error| error.to_string())?;
        match execute(cli) {
            Ok(code) if code == ExitCode::SUCCESS => Ok(()),
            Ok(_) => Err("not well".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], words: &str) {
        let error = self.run(arguments).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn webhooks_and_parts_of_lists() {
    let shell = Shell(tempfile::tempdir().expect("a directory"));
    shell.run(&["company", "add", "Shop"]).expect("adds");
    let webhook = ["webhook", "add", "--app", "x", "--url", "https://a.example/h", "--event"];
    shell.refuses(
        &[&webhook[..], &["payment.*"]].concat(),
        "no event matches 'payment.*'; there are makepay.payment.status_changed, makepay.payment_link.created",
    );
    shell.refuses(&[&webhook[..], &["*.archived"]].concat(), "there is no application \"x\"");
    shell.refuses(&["webhook", "retry", "nope"], "there is no delivery \"nope\"");
    shell.refuses(&["webhook", "test", "nope"], "there is no endpoint \"nope\"");
    for list in ["app list", "webhook endpoints"] {
        let list: Vec<_> = list.split(' ').collect();
        let with = |more: &[&'static str]| [&list, more].concat();
        shell.run(&with(&["--company", "Shop", "--limit", "10"])).expect("lists");
        shell.refuses(&with(&["--company", "None"]), "there is no company");
        shell.refuses(&with(&["--limit", "0"]), "0");
    }
    shell
        .refuses(&["app", "list", "--after", "mco_app_x"], "no application \"mco_app_x\" to go on");
    shell.refuses(&["webhook", "endpoints", "--after", "x"], "no endpoint \"x\" to go on after");
}

#[test]
fn companies_applications_and_keys() {
    let shell = Shell(tempfile::tempdir().expect("a directory"));
    shell.run(&["check"]).expect("nothing is there yet, and that is well");
    let backup = shell.0.path().join("backup").display().to_string();
    for command in [&["company", "list"][..], &["key", "list"], &["backup", "--to", &backup]] {
        shell.refuses(command, "there is no server's data in");
    }
    assert_eq!(std::fs::read_dir(shell.0.path()).expect("a directory").count(), 0);
    shell.run(&["company", "add", "Shop"]).expect("adds");
    shell.refuses(&["company", "add", "Shop"], "there is a company \"Shop\" already");
    shell.refuses(&["company", "add", "a\nb"], "no control characters");
    let app = ["app", "add", "--name", "Till", "--company", "Shop"];
    let with = |more: &[&'static str]| [&app, more].concat();
    shell
        .run(&with(&["--redirect-uri", "https://a.example/cb", "--scope", "company:read"]))
        .expect("adds");
    shell.run(&with(&["--resource-server"])).expect("adds");
    shell.refuses(&with(&["--scope", "company:reed"]), "There is no scope \"company:reed\"");
    shell.refuses(
        &with(&["--scope", "company:read", "--public"]),
        "needs at least one --redirect-uri",
    );
    shell.refuses(&with(&[]), "needs at least one --scope");
    shell.refuses(
        &with(&["--redirect-uri", "http://a.example/cb"]),
        "scheme is not accepted. Use https; http goes on 127.0.0.1 and [::1] alone",
    );
    shell.refuses(&with(&["--scope", "company:read", "--support", "me"]), "an e-mail address or");
    shell.refuses(&with(&["--scope", "company:read", "--icon", "/none"]), "/none");
    shell.run(&["app", "list", "--company", "Shop"]).expect("lists");
    shell.refuses(&["app", "list", "--company", "None"], "there is no company");
    for command in ["show", "rotate-secret", "end-former-secret", "remove"] {
        shell.refuses(&["app", command, "mco_app_x"], "there is no application \"mco_app_x\"");
    }
    shell.refuses(
        &["app", "add", "--name", "Till", "--company", "None", "--scope", "company:read"],
        "there is no company",
    );
    shell.refuses(&["user", "add", "--email", "a@b", "--company", "Shop"], "--password-stdin");
    shell.run(&["key", "rotate", "--algorithm", "ES256"]).expect("rotates");
    shell.refuses(&["key", "rotate"], "waits already");
    shell.run(&["key", "rotate", "--now"]).expect("rotates");
    shell.run(&["key", "list"]).expect("lists");
    shell.refuses(&["key", "retire", "abc"], "there is no key \"abc\"; see: key list");
    shell.run(&["installation", "list"]).expect("lists");
    shell.run(&["payment-link", "list", "--company", "Shop", "--status", "active"]).expect("lists");
    shell.refuses(
        &["payment-link", "list", "--after", "pl_x"],
        "there is no payment link \"pl_x\" to go",
    );
    shell.refuses(&["payment-link", "list", "--company", "None"], "there is no company");
    shell.refuses(&["installation", "show", "mco_app_x"], "there is no installation");
    shell.refuses(&["installation", "release", "mco_app_x"], "there is no installation");
    shell.refuses(&["installation", "revoke", "mco_app_x", "--yes"], "there is no installation");
    shell.refuses(&["grant", "revoke", "mco_grant_x", "--yes"], "there is no grant");
    shell.run(&["grant", "list", "--company", "Shop"]).expect("lists");
    shell.refuses(&["grant", "list", "--company", "None"], "there is no company");
    shell.run(&["company", "add", "Other"]).expect("adds");
    shell.refuses(&["company", "rename", "Shop", "Other"], "there is a company \"Other\" already");
    shell.run(&["company", "rename", "Other", "Another"]).expect("renames");
    shell.refuses(&["company", "reopen", "Another"], "is not closed");
    shell.run(&["company", "close", "Another", "--yes"]).expect("closes");
    shell.refuses(&["company", "close", "Another", "--yes"], "is closed already");
    shell.run(&["company", "reopen", "Another"]).expect("reopens");
    shell.run(&["company", "list"]).expect("lists");
    shell.run(&["company", "show", "Another"]).expect("shows");
    shell.run(&["company", "close", "Another", "--yes"]).expect("closes");
    let person = ["user", "add", "--email", "a@b", "--company", "Another"];
    shell.refuses(&person, "open it with: counterfoil-server company reopen \"Another\"");
    shell.run(&["audit", "list", "--company", "Another"]).expect("lists what was closed");
    shell.refuses(&["audit", "export", "--company", "Nobody"], "there is no company \"Nobody\"");
    shell.refuses(&["payment-link", "show", "pl_x"], "there is no payment link \"pl_x\"");
    shell.refuses(&["company", "show", "Other"], "there is no company \"Other\"");
    shell.run(&["user", "list", "--company", "Shop"]).expect("lists");
    for command in ["show", "disable", "enable", "reset-codes"] {
        shell.refuses(&["user", command, "a@b"], "there is nobody with the address a@b");
    }
    shell.run(&["audit", "verify"]).expect("whole");
    shell.run(&["audit", "list"]).expect("lists");
    shell.run(&["check"]).expect("all is well");
    let index = shell.0.path().join("data/keys/signing-keys.json");
    let aside = index.with_extension("aside");
    std::fs::rename(&index, &aside).expect("moves");
    for command in [&["key", "list"][..], &["key", "retire", "abc", "--yes"]] {
        shell.refuses(command, "or make new keys, at which access tokens end: counterfoil-server");
    }
    std::fs::rename(&aside, &index).expect("moves back");
    std::fs::remove_file(shell.0.path().join("data/keys/at-rest.key")).expect("removes");
    shell.refuses(&["company", "add", "Two"], "Restore the key from its backup");
    assert!(shell.run(&["check"]).is_err());
}
