//! The kinds of things that happen: a stable name for programs, a sentence for people.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $sentence:literal;)+) => {
        /// What happened. The names are stable: they stand in logs, metrics and files.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $variant,)+
        }

        impl Kind {
            /// Every kind there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The sentence, with `{name}` where a detail stands.
            fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

kinds! {
    /// A copy took over the connection, as its owner said.
    Adopted = "adopted" "The state was adopted by this place.";
    /// Calls of one plugin, alike in what they asked and what they got.
    Called = "called" "{client} (user {uid}) called {method} {path}: {outcome}";
    /// The server's clock differs from ours.
    ClockLearned = "clock_learned" "The platform's clock is {offset_s} s ahead of this machine's; proofs are signed by it.";
    /// The merchant approved.
    ConnectApproved = "connect_approved" "The merchant approved the request to connect.";
    /// An attempt to connect began.
    ConnectBegun = "connect_begun" "An attempt to connect began.";
    /// An attempt to connect ended without a connection.
    ConnectFailed = "connect_failed" "An attempt to connect ended: {code}";
    /// The store is connected.
    Connected = "connected" "Connected to {company}.";
    /// The tokens are lost for good.
    ConnectionLost = "connection_lost" "The connection is lost: {code}";
    /// The state cannot be used.
    Degraded = "degraded" "The state cannot be used: {why}";
    /// The server did not confirm a disconnect.
    DisconnectUnconfirmed = "disconnect_unconfirmed" "The platform has not confirmed the disconnect.";
    /// The connection was ended.
    Disconnected = "disconnected" "Disconnected.";
    /// The history was damaged and begun anew.
    HistoryBegunAnew = "history_begun_anew" "The history could not be read and was begun anew; the old file is history.db.damaged.";
    /// A new key was promoted.
    KeyRotated = "key_rotated" "The key {to} took the place of {from}.";
    /// The server did not take the next key, or not yet.
    KeyRotationFailed = "key_rotation_failed" "The key was not changed: {code}";
    /// A next key was made.
    KeyStaged = "key_staged" "The next key {key} was made.";
    /// The state was moved, or a backup of it put back.
    Moved = "moved" "The state was moved from {from} to {to}, or restored there.";
    /// The gate turned callers away.
    Refused = "refused" "A caller (user {uid}) was turned away: {outcome}";
    /// The server answered the registration.
    Registered = "registered" "Registered as {client_id}.";
    /// A changed file could not be used.
    ReloadFailed = "reload_failed" "The changed store's file is not used: {why}";
    /// A changed file is in use.
    Reloaded = "reloaded" "The store's file was read again.";
    /// The tokens were renewed.
    Renewed = "renewed" "The tokens were renewed.";
    /// A renewal failed and will be tried again.
    RenewalFailed = "renewal_failed" "A renewal failed and will be tried again: {code}";
    /// The connection was recovered by the key.
    Recovered = "recovered" "The connection was recovered by the key.";
    /// The tokens were lost, and the key asks for others.
    RecoveryBegun = "recovery_begun" "The tokens were lost, and the key asks for others: {code}";
    /// A recovery failed and will be tried again.
    RecoveryFailed = "recovery_failed" "The recovery failed and will be tried again: {code}";
    /// The server did not recover the connection.
    RecoveryRefused = "recovery_refused" "The platform did not recover the connection: {code}";
    /// The state was put back in its place.
    Restored = "restored" "The state in {to} was put back there from a copy, or its file system is another one.";
    /// This state seems to be a copy, or to belong to another store.
    SafeMode = "safe_mode" "Safe mode: {why}";
    /// A copy became a store of its own.
    Separated = "separated" "This place became an installation of its own.";
    /// The server answers again.
    ServerReachable = "server_reachable" "The platform answers again, after {seconds} s.";
    /// The server does not answer.
    ServerUnreachable = "server_unreachable" "The platform does not answer.";
    /// The daemon started.
    Started = "started" "counterfoild {version} started.";
    /// The daemon was told to stop.
    Stopped = "stopped" "Stopped.";
    /// The disk does not take the state.
    StorageFailed = "storage_failed" "The state could not be saved.";
    /// The disk takes the state again.
    StorageMended = "storage_mended" "The state can be saved again.";
    /// A request for notifications failed and will be sent again.
    WebhookFailed = "webhook_failed" "The request for notifications failed and will be sent again: {code}";
    /// The platform notifies the store, with a new secret.
    WebhookGiven = "webhook_given" "The platform sends its notifications, signed with a new secret.";
    /// The platform refused to notify the store.
    WebhookRefused = "webhook_refused" "The platform refused to send notifications: {code}";
}

impl Kind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The kind with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The sentence about one record of this kind.
    pub(super) fn summary(self, code: Option<&str>, detail: &Map<String, Value>) -> String {
        let mut told = self.sentence().replace("{code}", code.unwrap_or("unknown"));
        for (name, value) in detail {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Null => "unknown".to_owned(),
                other => other.to_string(),
            };
            told = told.replace(&format!("{{{name}}}"), &value);
        }
        told
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom("an unknown kind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_in_order() {
        for (place, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(Kind::named(kind.name()), Some(*kind));
            assert_eq!(*kind as usize, place);
        }
    }
}
