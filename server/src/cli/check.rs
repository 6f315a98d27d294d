//! `check`: everything that can be wrong before the first request, and what to do about it.

use std::{fmt::Write as _, process::ExitCode};

use serde_json::json;

use super::{
    audit,
    operator::{self, answer, credentials},
};
use crate::{
    clock,
    config::Config,
    data::DataDir,
    oidc::{Provider, Providers},
    profiles::Profiles,
    vault::Vault,
};

/// One thing looked at.
struct Finding {
    what: &'static str,
    /// What is wrong and what to do; or what was found.
    said: Result<String, String>,
}

/// Looks at everything. 0 when all is well, 1 when something is not.
pub fn run(settings: anyhow::Result<Config>, json: bool) -> anyhow::Result<ExitCode> {
    let file = settings.as_ref().ok().and_then(|config| config.file.clone());
    let findings = match settings {
        Ok(config) => look(&config),
        Err(error) => vec![Finding { what: "settings", said: Err(format!("{error:#}")) }],
    };
    let good = findings.iter().all(|finding| finding.said.is_ok());
    let mut text = String::new();
    for Finding { what, said } in &findings {
        let (mark, said) = match said {
            Ok(said) => ("ok ", said),
            Err(said) => ("BAD", said),
        };
        let _ = writeln!(text, "{mark} {what}: {said}");
    }
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (Ok(said) | Err(said)) = &finding.said;
            json!({ "check": finding.what, "ok": finding.said.is_ok(), "message": said })
        })
        .collect();
    answer(json, &json!({ "ok": good, "settings_file": file, "checks": rows }), text.trim_end())?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the settings come from, and what they come to.
fn settings(config: &Config) -> String {
    let mut from = config.file.as_ref().map_or_else(
        || "no settings file (--config or COUNTERFOIL_CONFIG names one): defaults".to_owned(),
        |file| file.display().to_string(),
    );
    let Config { variables, ignored_variables: ignored, .. } = config;
    if !variables.is_empty() {
        let _ = write!(from, ", and of the environment {}", variables.join(", "));
    }
    if !ignored.is_empty() {
        let _ = write!(from, ", while {} names no setting", ignored.join(", "));
    }
    format!("{from}; issuer {}, listening on {}", config.issuer, config.listen)
}

/// Every provider's secret, and whether it is there and answers as it should.
fn providers(config: &Config) -> Vec<Result<String, String>> {
    let (clock, _) = clock::system();
    let providers = match Providers::open(config, &clock) {
        Ok(providers) => providers,
        Err(error) => return vec![Err(error.to_string())],
    };
    let ask = |provider: &Provider| match operator::wait(provider.discover_now()) {
        Ok(Ok(())) => Ok(format!("{} answers as {}", provider.name(), provider.issuer())),
        Err(error) => Err(error.to_string()),
        Ok(Err(trouble)) => Err(format!(
            "{}: {trouble}. Check oidc.issuer; a provider in a network of yours needs oidc.allow",
            provider.name()
        )),
    };
    providers.iter().map(ask).collect()
}

fn look(config: &Config) -> Vec<Finding> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let mut findings = vec![Finding { what: "settings", said: Ok(settings(config)) }];
    let mut add = |what, said| findings.push(Finding { what, said });
    let profiles = Profiles::load(config.profiles_dir.as_deref());
    add(
        "profiles",
        profiles.map_err(|e| said(&e)).map(|profiles| {
            profiles.iter().map(|profile| profile.platform.as_str()).collect::<Vec<_>>().join(", ")
        }),
    );
    if !config.upstream.is_empty() {
        let places = config.upstream.iter().map(|it| format!("{} at {}", it.name, it.prefix));
        add("upstreams", Ok(places.collect::<Vec<_>>().join(", ")));
    }
    if let (Some(certificate), Some(key)) = (&config.tls_certificate, &config.tls_key) {
        let loaded = crate::serving::tls::load(certificate, key);
        add("certificate", loaded.map_err(|e| said(&e)).map(|_| certificate.display().to_string()));
    }
    for said in providers(config) {
        add("sign-in provider", said);
    }
    let directory = config.data_dir.display();
    if !config.data_dir.exists() {
        add(
            "data",
            Ok(format!(
                "{directory} is not there yet; `init`, `company add`, `serve` and `restore` make it"
            )),
        );
        return findings;
    }
    let data = match DataDir::open(&config.data_dir) {
        Ok(data) => data,
        Err(error) => {
            add("data", Err(said(&error)));
            return findings;
        }
    };
    add("data", Ok(format!("{directory} is the server's alone")));
    let (clock, entropy) = clock::system();
    let at_rest = data.at_rest_key(credentials().as_deref(), &*entropy);
    let vault = at_rest.as_ref().ok().map(|key| Vault::new(**key));
    add("at-rest key", at_rest.map_err(|e| said(&e)).map(|_| "readable".to_owned()));
    let keys = data.signing_keys(&*entropy, clock.now());
    add(
        "signing keys",
        keys.map_err(|e| said(&e)).map(|keys| {
            let published = keys.current().jwks(clock.now());
            format!("{} published", published["keys"].as_array().map_or(0, Vec::len))
        }),
    );
    let store = data.store();
    let trail = store.as_ref().ok().zip(vault.as_ref()).map(|(store, vault)| {
        operator::wait(audit::examine(store, &config.data_dir, vault)).flatten()
    });
    let lacking = if store.is_err() { "the database" } else { "the at-rest key" };
    let problems = store.and_then(|store| Ok(store.problems()?));
    add(
        "database",
        match problems {
            Ok(problems) if problems.is_empty() => Ok("whole".to_owned()),
            Ok(problems) => Err(format!(
                "damaged: {}. Stop the server and restore the last backup",
                problems.join("; ")
            )),
            Err(error) => Err(said(&error)),
        },
    );
    let said = match trail {
        None => Err(format!("not checked: it takes {lacking}, of which see above")),
        Some(Ok(Ok(records))) => Ok(format!("whole: {}", audit::counted(records))),
        Some(Ok(Err(broken))) => Err(format!(
            "broken: {broken}. Somebody changed the database past the server. Keep a copy of the data directory as it is, see what `audit verify` and an earlier `audit export` say, and restore a backup from before"
        )),
        Some(Err(error)) => Err(format!("{error:#}")),
    };
    add("audit trail", said);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_said() {
        let place = tempfile::tempdir().expect("a directory");
        let config = Config { data_dir: place.path().join("data"), ..Config::default() };
        let said = |what| {
            let found = look(&config).into_iter().find(|finding| finding.what == what);
            found.expect("is looked at").said
        };
        let begin = "is not there yet; `init`, `company add`, `serve` and `restore` make it";
        assert_eq!(said("data"), Ok(format!("{} {begin}", config.data_dir.display())));
        let data = DataDir::open(&config.data_dir).expect("opens");
        let (clock, entropy) = clock::system();
        data.at_rest_key(None, &*entropy).expect("a key");
        data.signing_keys(&*entropy, clock.now()).expect("keys");
        drop(data.store().expect("opens"));
        assert_eq!(said("audit trail"), Ok("whole: 0 records".to_owned()));
        std::fs::remove_file(config.data_dir.join("keys/at-rest.key")).expect("removes");
        let not = "not checked: it takes the at-rest key, of which see above";
        assert_eq!(said("audit trail"), Err(not.to_owned()));
    }
}
