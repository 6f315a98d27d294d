//! Safe mode: what a state does that may be a copy, or that belongs to another store than the file names.
//!
//! [`Session::apply`] hands every event here as long as there is evidence, and all that comes back is a reply. So
//! nothing is sent, nothing renewed and nothing ended: the original, if there is one, never notices.

use serde::Serialize;

use super::{Action, Context, Done, Event, Reply, Session, facts::Binding};
use crate::{
    advice::quoted,
    config::Config,
    evidence::Evidence,
    trouble::{Code, Trouble},
};

/// Why a daemon is in safe mode, and the ways out of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct SafeMode {
    /// What says that this may be a copy.
    pub(crate) evidence: Vec<Sign>,
    /// What a person can do.
    pub(crate) choices: Vec<Choice>,
}

/// One piece of evidence as status tells it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Sign {
    code: &'static str,
    message: String,
}

/// One way on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Choice {
    /// `adopt`, `leave`, `put_back` or `separate`.
    pub(crate) name: &'static str,
    /// When it is right, and what it does.
    pub(crate) message: String,
    /// The exact command; `None` where nothing is to be run.
    pub(crate) command: Option<String>,
}

impl SafeMode {
    /// Puts the evidence into words.
    pub(crate) fn new(evidence: &[Evidence], choices: Vec<Choice>) -> Self {
        let sign = |it: &Evidence| Sign { code: it.code(), message: it.sentence() };
        Self { evidence: evidence.iter().map(sign).collect(), choices }
    }

    /// The same for plugins: signs that name directories keep their code, commands name no place.
    pub(crate) fn for_guests(self) -> Self {
        const WITH_PATHS: [&str; 4] =
            ["former_taken", "former_unseen", "original_there", "other_directory"];
        let sign = |sign: Sign| {
            let hides = WITH_PATHS.contains(&sign.code);
            let message = "counterfoild status on the store's machine says where.".to_owned();
            if hides { Sign { message, ..sign } } else { sign }
        };
        let choice = |choice: Choice| {
            let command = choice.command.is_some().then(|| format!("counterfoild {}", choice.name));
            Choice { command, ..choice }
        };
        Self {
            evidence: self.evidence.into_iter().map(sign).collect(),
            choices: self.choices.into_iter().map(choice).collect(),
        }
    }
}

impl Session {
    /// Whether there is anything that says that this state must not be used.
    pub(crate) fn is_in_safe_mode(&self, config: &Config) -> bool {
        !self.standing.evidence.is_empty() || self.is_foreign(config)
    }

    /// What a session does in safe mode: it answers, and nothing else.
    pub(super) fn apply_in_safe_mode(&mut self, event: &Event, cx: &Context<'_>) -> Vec<Action> {
        let reply: Option<Reply> = match event {
            Event::AdoptAsked => Some(self.adopt(cx)),
            event => event.waiting().map(|_| Err(self.safe_mode_trouble(cx))),
        };
        reply.map(Action::Reply).into_iter().collect()
    }

    /// Why this daemon is in safe mode; `None` if it is not.
    pub(crate) fn safe_mode(&self, cx: &Context<'_>) -> Option<SafeMode> {
        let evidence = self.evidence(cx.config);
        if evidence.is_empty() {
            return None;
        }
        Some(SafeMode::new(&evidence, self.choices(&evidence)))
    }

    /// The lines of the store's file that differ, as they were; `None` where putting them back would not be enough.
    fn put_back(&self, evidence: &[Evidence]) -> Option<String> {
        if adopts(evidence) && !self.standing.evidence.is_empty() {
            return None;
        }
        let lines = evidence.iter().filter_map(|it| match it {
            Evidence::OtherIssuer { bound, .. } => Some(("issuer", bound)),
            Evidence::OtherPlatform { bound, .. } => Some(("platform", bound)),
            Evidence::OtherSiteUrl { bound, .. } => Some(("site_url", bound)),
            _ => None,
        });
        let lines: Vec<_> = lines.map(|(name, bound)| format!("{name} = \"{bound}\"")).collect();
        (!lines.is_empty()).then(|| lines.join(" and "))
    }

    /// The state in a sentence, and what to do about it.
    pub(super) fn words_in_safe_mode(&self, cx: &Context<'_>) -> (String, String) {
        let trouble = self.safe_mode_trouble(cx);
        let evidence = self.evidence(cx.config);
        let put_back = self.put_back(&evidence).map(|former| {
            format!("If the store's file was changed by mistake, put {former} back and run: counterfoild reload")
        });
        let adopt = adopts(&evidence)
            .then(|| format!("if the store moved here, run: {}", self.command("adopt")));
        let separate = format!("if this is a store of its own, run: {}", self.command("separate"));
        let ways: Vec<_> = put_back.into_iter().chain(adopt).chain([separate]).collect();
        let mut next_step = ways.join("; ");
        if let Some(first) = next_step.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        (trouble.message, next_step)
    }

    pub(super) fn safe_mode_trouble(&self, cx: &Context<'_>) -> Trouble {
        let message = Code::SafeMode.words().message;
        match self.evidence(cx.config).first() {
            Some(sign) => Trouble::new(Code::SafeMode, format!("{message} {}", sign.sentence())),
            None => Trouble::of(Code::SafeMode),
        }
    }

    /// Whether this state was made for another store or server than the file names, and still holds something of it.
    fn is_foreign(&self, config: &Config) -> bool {
        let facts = &self.facts;
        let holds =
            facts.connection.is_some() || facts.disconnect.is_some() || facts.exchange.is_some();
        holds && facts.binding.as_ref().is_some_and(|binding| *binding != Binding::of(config))
    }

    /// Everything that says that this state must not be used.
    pub(crate) fn evidence(&self, config: &Config) -> Vec<Evidence> {
        let mut evidence = self.standing.evidence.clone();
        if let Some(bound) = self.facts.binding.clone().filter(|_| self.is_foreign(config)) {
            let seen = Binding::of(config);
            if bound.issuer != seen.issuer {
                evidence.push(Evidence::OtherIssuer { bound: bound.issuer, seen: seen.issuer });
            }
            if bound.platform != seen.platform {
                let (bound, seen) = (bound.platform, seen.platform);
                evidence.push(Evidence::OtherPlatform { bound, seen });
            }
            if bound.site_url != seen.site_url {
                let (bound, seen) = (bound.site_url, seen.site_url);
                evidence.push(Evidence::OtherSiteUrl { bound, seen });
            }
        }
        evidence
    }

    fn choices(&self, evidence: &[Evidence]) -> Vec<Choice> {
        let put_back = self.put_back(evidence).map(|former| Choice {
            name: "put_back",
            message: format!("The store's file was changed by mistake: put {former} back, then run counterfoild reload; the connection goes on."),
            command: None,
        });
        let adopt = adopts(evidence).then(|| {
            let moves = evidence.iter().any(|it| matches!(it, Evidence::OtherSiteUrl { .. }));
            let then = if moves {
                "the connection goes on, and Connect asks the merchant to approve the new address"
            } else {
                "the connection goes on as it was"
            };
            Choice {
                name: "adopt",
                message: format!(
                    "The store moved here, and nothing of it is left in the former place: {then}."
                ),
                command: Some(self.command("adopt")),
            }
        });
        let separate = Choice {
            name: "separate",
            message: "This is a store of its own, such as a staging copy: it gets a key of its own, the copied one is destroyed here, and it is connected anew; the original is not touched.".to_owned(),
            command: Some(self.command("separate")),
        };
        let leave = Choice {
            name: "leave",
            message: "Leave it: as long as nothing is decided this daemon does nothing, and the original goes on.".to_owned(),
            command: None,
        };
        put_back.into_iter().chain(adopt).chain([separate, leave]).collect()
    }

    /// A command for this daemon, as a shell takes it.
    pub(crate) fn command(&self, verb: &str) -> String {
        match (&self.standing.flags, &self.standing.seen) {
            (Some(flags), _) => format!("counterfoild {verb} {flags}").trim_end().to_owned(),
            (None, Some(seen)) => {
                format!("counterfoild {verb} --state-dir {}", quoted(&seen.directory))
            }
            (None, None) => format!("counterfoild {verb}"),
        }
    }

    /// This place, and this address, are the store's from now on.
    fn adopt(&mut self, cx: &Context<'_>) -> Reply {
        if !adopts(&self.evidence(cx.config)) {
            return Err(Trouble::of(Code::AdoptRefused));
        }
        let former = self.facts.binding.replace(Binding::of(cx.config)).map(|it| it.site_url);
        // Adopted twice before an approval, the server still knows the first address.
        let former = self.facts.moved_from.take().or(former);
        let holds = self.facts.connection.is_some();
        self.facts.moved_from = former.filter(|it| holds && *it != cx.config.site_url);
        if self.facts.moved_from.is_some() {
            // The site cannot be called as it was; its next call says how it is called now.
            self.facts.site = None;
        }
        self.facts.place.clone_from(&self.standing.seen);
        self.standing.evidence.clear();
        Ok(Done::Adopted)
    }
}

/// Whether the store can have moved here. Another server, or a store of another platform, has never heard of it.
fn adopts(evidence: &[Evidence]) -> bool {
    !evidence
        .iter()
        .any(|it| matches!(it, Evidence::OtherIssuer { .. } | Evidence::OtherPlatform { .. }))
}
