//! Who may do what through which door: one pure function.

use crate::trouble::Code;

/// A way in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Door {
    /// `admin.sock`: the owner's.
    Admin,
    /// `api.sock`: for plugins.
    Api,
    /// The loopback port.
    Port,
}

/// Who calls, as far as it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Caller {
    /// The user that owns the state, or root.
    Owner,
    /// A user named in `admin_users`.
    Steward,
    /// A user let in by `allow_users` or `allow_groups`.
    Guest,
    /// Whoever showed a bearer token at the port.
    Plugin,
    /// Anybody else.
    Stranger,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    /// What is below `/v1/admin/` and does not exist.
    Admin,
    /// The end of safe mode, for a store that moved here.
    Adopt,
    /// A call that is forwarded.
    Api,
    /// What the browser brought back.
    Callback,
    /// The beginning of an approval.
    Connect,
    /// The end of a connection.
    Disconnect,
    /// Changes of the state as they happen.
    Events,
    /// Whether the process answers.
    Health,
    /// What happened.
    History,
    /// What was counted.
    Metrics,
    /// How it is, and where the daemon lives.
    OwnersStatus,
    /// Which keys there are.
    Key,
    /// The answer to the server's challenge.
    Ownership,
    /// Signing for a plugin.
    Proofs,
    /// The level of the log.
    Log,
    /// The store's file is to be read again.
    Reload,
    /// Another key.
    RotateKey,
    /// Another identity in place of this one.
    Separate,
    /// How it is.
    Status,
    /// Another secret for notifications.
    WebhookRotate,
    /// Whether a notification is the platform's.
    WebhookVerify,
}

impl Verb {
    /// Whether this is for the owner alone. Its path is then below `/v1/admin/`, and no other is.
    pub(super) fn is_the_owners(self) -> bool {
        matches!(
            self,
            Self::Admin
                | Self::Adopt
                | Self::History
                | Self::Metrics
                | Self::OwnersStatus
                | Self::Log
                | Self::Reload
                | Self::Key
                | Self::RotateKey
                | Self::Separate
                | Self::WebhookRotate
        )
    }

    /// Whether this goes to the platform, or is signed to go there; all else is control.
    pub(super) fn is_a_call(self) -> bool {
        matches!(self, Self::Api | Self::Proofs)
    }
}

/// What the store's file says about rights.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Rules {
    /// `admin_users` names somebody: only these, the owner and root connect and disconnect.
    pub(super) narrowed: bool,
    /// `proofs = true`.
    pub(super) proofs: bool,
}

/// Whether `caller` may have `verb` done through `door`; if not, what he is told.
pub(super) fn may(caller: Caller, door: Door, verb: Verb, rules: Rules) -> Result<(), Code> {
    // The kernel names users and the port names plugins; neither passes for the other.
    let belongs = match door {
        Door::Admin => matches!(caller, Caller::Owner),
        Door::Api => matches!(caller, Caller::Owner | Caller::Steward | Caller::Guest),
        Door::Port => matches!(caller, Caller::Plugin),
    };
    if !belongs {
        return Err(Code::CallerRefused);
    }
    let steers = matches!(caller, Caller::Owner | Caller::Steward) || !rules.narrowed;
    match verb {
        _ if verb.is_the_owners() && door != Door::Admin => Err(Code::AdminOnly),
        Verb::Connect | Verb::Disconnect if !steers => Err(Code::StewardOnly),
        Verb::Proofs if !rules.proofs => Err(Code::ProofsDisabled),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 12] = [
        Verb::Admin,
        Verb::Api,
        Verb::Callback,
        Verb::Connect,
        Verb::Disconnect,
        Verb::Events,
        Verb::Health,
        Verb::Ownership,
        Verb::Proofs,
        Verb::Status,
        Verb::WebhookRotate,
        Verb::WebhookVerify,
    ];

    const RULES: [Rules; 4] = [
        Rules { narrowed: false, proofs: false },
        Rules { narrowed: true, proofs: false },
        Rules { narrowed: false, proofs: true },
        Rules { narrowed: true, proofs: true },
    ];

    /// One row a caller and door, one column a verb in the order of `VERBS`, one table a set of rules: `+` may, `-` is
    /// no caller here, `a` admin only, `s` stewards only, `p` proofs are off.
    const TABLE: &[(Door, Caller, [&str; 4])] = &[
        (
            Door::Admin,
            Caller::Owner,
            ["++++++++p+++", "++++++++p+++", "++++++++++++", "++++++++++++"],
        ),
        (Door::Admin, Caller::Steward, ["------------"; 4]),
        (Door::Admin, Caller::Guest, ["------------"; 4]),
        (Door::Admin, Caller::Plugin, ["------------"; 4]),
        (Door::Admin, Caller::Stranger, ["------------"; 4]),
        (
            Door::Api,
            Caller::Owner,
            ["a+++++++p+a+", "a+++++++p+a+", "a+++++++++a+", "a+++++++++a+"],
        ),
        (
            Door::Api,
            Caller::Steward,
            ["a+++++++p+a+", "a+++++++p+a+", "a+++++++++a+", "a+++++++++a+"],
        ),
        (
            Door::Api,
            Caller::Guest,
            ["a+++++++p+a+", "a++ss+++p+a+", "a+++++++++a+", "a++ss+++++a+"],
        ),
        (Door::Api, Caller::Plugin, ["------------"; 4]),
        (Door::Api, Caller::Stranger, ["------------"; 4]),
        (Door::Port, Caller::Owner, ["------------"; 4]),
        (Door::Port, Caller::Steward, ["------------"; 4]),
        (Door::Port, Caller::Guest, ["------------"; 4]),
        (
            Door::Port,
            Caller::Plugin,
            ["a+++++++p+a+", "a++ss+++p+a+", "a+++++++++a+", "a++ss+++++a+"],
        ),
        (Door::Port, Caller::Stranger, ["------------"; 4]),
    ];

    /// Verbs for which there is no column, since they are the owner's like the first.
    const OWNERS: [Verb; 8] = [
        Verb::Adopt,
        Verb::History,
        Verb::Key,
        Verb::Log,
        Verb::Metrics,
        Verb::OwnersStatus,
        Verb::Reload,
        Verb::RotateKey,
    ];

    fn letter(answer: Result<(), Code>) -> char {
        match answer {
            Ok(()) => '+',
            Err(Code::CallerRefused) => '-',
            Err(Code::AdminOnly) => 'a',
            Err(Code::StewardOnly) => 's',
            Err(Code::ProofsDisabled) => 'p',
            Err(_) => '?',
        }
    }

    #[test]
    fn every_combination() {
        assert_eq!(TABLE.len(), 3 * 5, "every door with every caller");
        for (door, caller, expected) in TABLE {
            for (rules, expected) in RULES.into_iter().zip(expected) {
                let row: String =
                    VERBS.iter().map(|verb| letter(may(*caller, *door, *verb, rules))).collect();
                assert_eq!(row, **expected, "{caller:?} at {door:?} under {rules:?}");
                for verb in OWNERS {
                    let answer = letter(may(*caller, *door, verb, rules));
                    assert!(row.starts_with(answer), "{verb:?} of {caller:?} at {door:?}");
                }
            }
        }
    }
}
