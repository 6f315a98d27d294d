//! Everything that can go wrong, in words: a stable code for programs, a sentence for the merchant, a next step.
//!
//! These codes are part of the local API. One may be added, none may change its meaning.

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize, Serializer};

/// What went wrong, once: the code, and the sentence that says it for this case.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Trouble {
    /// Which trouble.
    pub(crate) code: Code,
    /// One sentence for the merchant. Never holds anything secret, and of what the server sent its codes alone; where
    /// it refuses what stands in the store's file, its own sentence as well, bounded and between quotation marks.
    pub(crate) message: String,
    /// When to ask again, where that is known: seconds from the time of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<i64>,
}

impl Trouble {
    /// A trouble in the words of its code.
    pub(crate) fn of(code: Code) -> Self {
        Self::new(code, code.words().message)
    }

    /// A trouble in words of its own.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same for plugins: what may name files of this machine is in the owner's status alone.
    pub(crate) fn for_guests(self) -> Self {
        match self.code {
            Code::Degraded | Code::SafeMode => {
                Self { message: self.code.words().message.to_owned(), ..self }
            }
            _ => self,
        }
    }

    /// The same, with the time after which asking again makes sense.
    pub(crate) fn retry_after(self, seconds: i64) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..self }
    }
}

/// A trouble and when it happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Happened {
    /// What happened.
    #[serde(flatten)]
    pub(crate) trouble: Trouble,
    /// When.
    pub(crate) at: UnixTime,
}

/// What is said about a code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// The status of the HTTP answer.
    pub(crate) status: u16,
    /// The stable name.
    pub(crate) code: &'static str,
    /// What went wrong, when there is nothing more particular to say.
    pub(crate) message: &'static str,
    /// What to do about it, where nobody tries again by himself what failed.
    pub(crate) next_step: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal $message:literal $next_step:literal;)+) => {
        /// The stable name of a trouble.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// Every code there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// What is said about this code.
            pub(crate) fn words(self) -> Words {
                match self {
                    $(Self::$name => Words {
                        status: $status,
                        code: $code,
                        message: $message,
                        next_step: $next_step,
                    },)+
                }
            }
        }
    };
}

impl Code {
    /// Those that say of the server, or of the way to it, that no answer came.
    pub(crate) const SILENCES: [Self; 10] = [
        Self::ProxyRefused,
        Self::ServerAnswerTimeout,
        Self::ServerCertificateExpired,
        Self::ServerCertificateMisnamed,
        Self::ServerCertificateUnknown,
        Self::ServerConnectionRefused,
        Self::ServerConnectTimeout,
        Self::ServerNameUnresolved,
        Self::ServerUnreachable,
        Self::ServerUntrusted,
    ];
}

codes! {
    /// The verb belongs to the owner's socket.
    AdminOnly = 403 "admin_only"
        "This is for the daemon's owner alone, not for plugins."
        "Use the command line of the store's machine, as root or as the daemon's user; counterfoild help lists the commands.";
    /// The merchant has an address at which to approve.
    ApprovalPending = 409 "approval_pending"
        "An approval is under way, and it may be given for the key in force."
        "Finish or refuse the approval in the browser, or wait until it ends (counterfoild status names the time); then run counterfoild key rotate again.";
    /// The key asked for a new token family, and no approval stands.
    ApprovalWithdrawn = 409 "approval_withdrawn"
        "The approval of this store has ended at the payment platform: somebody withdrew it there, or the company was closed."
        "Press Connect in the plugin's settings, or run counterfoild connect, to approve the store again.";
    /// A store of another platform or server cannot have moved here.
    AdoptRefused = 409 "adopt_refused"
        "The store's file names another platform or another server than the connection's, so the store cannot have moved here."
        "Put the former platform and issuer back into the store's file, or run counterfoild separate and connect this store as one of its own.";
    /// The server refused to push or to begin an authorization.
    AuthorizationRefused = 502 "authorization_refused"
        "The payment platform refused to begin the approval."
        "Check site_url and redirect_uri in the store's file, then press Connect again; if it stays, send this code to the platform's support.";
    /// `bind` of the callback is not the one of the connect.
    BindMismatch = 403 "bind_mismatch"
        "The approval came back in another person's session than the one that began it."
        "Press Connect again and finish in the same browser.";
    /// A control body is not what it must be.
    BodyMalformed = 400 "body_malformed"
        "The plugin's request is not a JSON object that this daemon understands."
        "Update the plugin, or read the description of the local API.";
    /// The caller's body did not come to its end, or too slowly.
    BodyBrokenOff = 400 "body_broken_off"
        "The plugin's request broke off or came too slowly."
        "Send it again, whole; a forwarded call with the same Idempotency-Key.";
    /// The platform wants a streamed call once more, and its body is gone.
    BodyNotRepeatable = 503 "body_not_repeatable"
        "The payment platform wants this call once more, and its body was too long to be kept."
        "Send the call again with the same Idempotency-Key; the daemon has now what the platform asked for.";
    /// A body is longer than allowed.
    BodyTooLarge = 413 "body_too_large"
        "The plugin's request is larger than the daemon accepts."
        "Send less at a time.";
    /// A browser sent the request.
    BrowserRefused = 403 "browser_refused"
        "This interface is for plugins; a browser sent the request, or somebody passed on a browser's."
        "Call the daemon from the store's own code, never from a page or through a proxy, and copy no visitor's headers.";
    /// Method and path are not on the list of forwarded calls.
    CallRefused = 403 "call_refused"
        "This call is not one that the daemon forwards for a plugin."
        "Use one of the calls that the local API lists.";
    /// Too many calls are under way.
    Busy = 503 "busy"
        "The daemon has as many calls to the payment platform under way as it takes."
        "Send the call again a little later; if it lasts, see what the plugin asks so often or what makes the platform slow.";
    /// The callback says that the approval was refused.
    CallbackDenied = 403 "callback_denied"
        "The request was not approved."
        "Press Connect again and approve the request to connect this store.";
    /// The callback came after the attempt's ten minutes.
    CallbackExpired = 410 "callback_expired"
        "The approval came back too late; an attempt lives ten minutes."
        "Press Connect again.";
    /// `iss` is absent or not the configured issuer.
    CallbackIssuerMismatch = 400 "callback_issuer_mismatch"
        "The approval came back from another server than the one this store uses."
        "Press Connect again; if it happens twice, somebody may be tampering: tell the platform's support.";
    /// The query is no callback: parameters absent or doubled.
    CallbackMalformed = 400 "callback_malformed"
        "The address that the browser returned with is not a complete answer of the payment platform."
        "Press Connect again, and let the plugin hand over the query string unchanged.";
    /// The code is being redeemed and the server has not answered yet.
    CallbackPending = 503 "callback_pending"
        "The approval arrived, but the payment platform has not confirmed it yet; the daemon keeps asking."
        "Wait a moment and reload this page.";
    /// The callback carries an error other than a refusal by the person.
    CallbackRefused = 502 "callback_refused"
        "The payment platform ended the approval with an error."
        "Press Connect again; if it stays, send this code to the platform's support.";
    /// No attempt has this `state`.
    CallbackStateUnknown = 400 "callback_state_unknown"
        "This approval belongs to no attempt that is under way; it may come from an old tab."
        "Press Connect again and use only the newest tab.";
    /// The caller's user may not use this socket.
    CallerRefused = 403 "caller_refused"
        "The user that runs the plugin may not use this daemon."
        "Name the web server's user in allow_users, or its group in allow_groups, of the store's file, then run: counterfoild reload";
    /// `Counterfoil-Client` is absent or malformed.
    ClientHeaderMissing = 412 "client_header_missing"
        "The request does not say which plugin sends it."
        "Send the header Counterfoil-Client: name/version.";
    /// The store's file is wrong; the former one is gone by.
    ConfigRefused = 422 "config_refused"
        "The store's file is not taken over; the daemon goes on with what it had."
        "Correct the file as the message says, then run: counterfoild reload";
    /// Another connect is being prepared.
    ConnectInProgress = 409 "connect_in_progress"
        "Another attempt to connect is being prepared right now."
        "Wait a few seconds, then press Connect again.";
    /// The state on disk is not usable.
    Degraded = 503 "degraded"
        "The daemon's own state cannot be used."
        "Run counterfoild status on the store's machine: it says what is wrong and what to do.";
    /// The connection is being ended.
    DisconnectPending = 409 "disconnect_pending"
        "The store is being disconnected; the payment platform has not confirmed it yet."
        "Wait, or press Disconnect again; to end it on this side alone, run: counterfoild disconnect --forget";
    /// The server's answer to the code is not one we may believe.
    ExchangeFailed = 502 "exchange_failed"
        "The payment platform did not accept the approval that it gave."
        "Press Connect again.";
    /// `Host` is not ours.
    HostRefused = 403 "host_refused"
        "The request is not addressed to this daemon."
        "Use the host name localhost on the socket.";
    /// Something in the daemon that should not happen.
    Internal = 500 "internal"
        "The daemon failed in a way that it should not."
        "Restart the daemon and send its log to the plugin's maker.";
    /// The server refused to change the key.
    KeyRotationRefused = 502 "key_rotation_refused"
        "The payment platform refused to change this store's key; the key that it has stays in force."
        "Look for its code in the log; then run counterfoild key rotate again, or press Connect to have the merchant approve the new key.";
    /// The key was changed a moment ago.
    KeyUnproven = 409 "key_unproven"
        "The key was changed a moment ago, and the former one is kept until the new one has renewed the tokens once."
        "Wait until counterfoild key show names no former key (the tokens are renewed as soon as the platform answers), then run counterfoild key rotate again.";
    /// The server saw the key's tokens used in two places.
    KeyInTwoPlaces = 409 "key_in_two_places"
        "This store's key is in use in two places, so the payment platform will not renew the connection by itself."
        "Find the copy of this store (a staging site, a restored backup) and stop its daemon; then press Connect here, or run counterfoild connect, to approve the store again.";
    /// The key's token or TPM does not sign.
    KeyUnavailable = 503 "key_unavailable"
        "The device that keeps this store's key does not sign at the moment."
        "Plug it in, or start the service that serves it, then try again. The daemon's log says what the device answers.";
    /// The route exists, but not for this method.
    MethodNotAllowed = 405 "method_not_allowed"
        "This route does not take this method."
        "Use a method that the Allow header lists.";
    /// There is no connection.
    NotConnected = 409 "not_connected"
        "This store is not connected."
        "Press Connect in the plugin's settings.";
    /// There is no such route.
    NotFound = 404 "not_found"
        "The daemon has no such route."
        "Read the description of the local API, or update the daemon.";
    /// There is nothing to adopt and nothing to separate.
    NotInSafeMode = 409 "not_in_safe_mode"
        "Nothing says that this store is a copy, so there is nothing to decide."
        "Run counterfoild status: it says how the connection is.";
    /// A challenge that is none of ours.
    OwnershipRefused = 403 "ownership_refused"
        "This challenge is not for this store."
        "Hand over nonce and client_id exactly as the request to the store had them; answer whoever asked with 404.";
    /// The path is not one that may be forwarded at all.
    PathRefused = 400 "path_refused"
        "The path has parts that are never forwarded."
        "Send a plain path below the API base, without dots, doubled slashes or encoded characters.";
    /// The server refused our proof; usually a clock.
    ProofRefused = 503 "proof_refused"
        "The payment platform did not accept this store's proof of its key; usually the machine's clock is wrong."
        "Set the machine's clock (timedatectl status shows it), then try again.";
    /// The proxy does not let the daemon through.
    ProxyRefused = 503 "proxy_refused"
        "The proxy on the way to the payment platform does not let the daemon through."
        "Check proxy and proxy_credentials_file in the store's file, then try again.";
    /// Signing for plugins is off.
    ProofsDisabled = 403 "proofs_disabled"
        "Signing proofs for plugins is switched off."
        "Use /v1/api/…, or set proofs = true under [local] in the store's file, then run: counterfoild reload";
    /// The token family is lost for good.
    ReconnectRequired = 409 "reconnect_required"
        "The connection has ended and cannot be renewed."
        "Press Connect in the plugin's settings, or run counterfoild connect, to approve the store again.";
    /// A lost token family, and the key asks for another.
    Recovering = 503 "recovering"
        "The connection's tokens were lost; the daemon is asking for new ones by its key."
        "Wait a moment; nobody has to approve anything.";
    /// Too many recoveries.
    RecoveryCapped = 409 "recovery_capped"
        "The connection's tokens were lost too often within a day, so it is not recovered again for now."
        "Press Connect in the plugin's settings, or run counterfoild connect, to approve the store again, or wait: the daemon asks again later by itself. If it happens again, look for a copy of this store.";
    /// The server refused a recovery for another reason.
    RecoveryRefused = 409 "recovery_refused"
        "The connection's tokens were lost, and the payment platform gives no new ones to this store's key."
        "Press Connect in the plugin's settings, or run counterfoild connect, to approve the store again; if it stays, send this code to the platform's support.";
    /// The server knows our registration id with another address.
    RegistrationIdentityMismatch = 409 "registration_identity_mismatch"
        "The payment platform knows this installation under another address; this store is probably a copy."
        "On the original, change nothing. On the copy, run counterfoild separate --abandon and connect it as a store of its own.";
    /// The server refused the registration.
    RegistrationRefused = 502 "registration_refused"
        "The payment platform refused to register this store."
        "Check platform, site_url and redirect_uri in the store's file; they must be the store's public addresses.";
    /// The state may be a copy, or was made for another store or server.
    SafeMode = 409 "safe_mode"
        "The daemon's state may be a copy of another store's, so it is not used."
        "Run counterfoild status on the store's machine: it says why, and names the commands for a store that moved and for a store of its own.";
    /// More or other scopes than the registration gave.
    ScopesRefused = 400 "scopes_refused"
        "The plugin asked for permissions that this platform does not give to such a store."
        "Ask for fewer permissions.";
    /// The key lies where an original may use it too.
    SeparateRefused = 409 "separate_refused"
        "The key lies in a token that the original may use as well, so no other can be put in its place."
        "Stop the daemon, name another key.label in the store's file, move the state directory away, start the daemon and connect.";
    /// The server took the call and said nothing for too long.
    ServerAnswerTimeout = 503 "server_answer_timeout"
        "The payment platform took the call and gave no answer in time."
        "Try again in a moment. If it lasts, tell the platform's support since when.";
    /// The certificate's time is over, or has not begun.
    ServerCertificateExpired = 503 "server_certificate_expired"
        "The payment platform shows a certificate that is not valid at this time."
        "Compare the machine's clock with another one (timedatectl status shows it); if it is right, tell the platform's support.";
    /// The certificate is for other names.
    ServerCertificateMisnamed = 503 "server_certificate_misnamed"
        "The payment platform's address is answered with a certificate for another name."
        "Check issuer and api_base in the store's file; if they are right, something on the way answers in the platform's place: ask who runs this network.";
    /// Nobody known has signed the certificate.
    ServerCertificateUnknown = 503 "server_certificate_unknown"
        "The payment platform shows a certificate that is signed by itself, or by an authority that this machine does not know."
        "Where a private authority or a proxy of this network signs, name its certificate as ca_file in the store's file; else run: apt install --reinstall ca-certificates";
    /// Nothing listens at the server's address, or a firewall refuses.
    ServerConnectionRefused = 503 "server_connection_refused"
        "The payment platform's address, or the proxy's, refuses connections."
        "Try again in a moment. If it lasts, look for a firewall, and check issuer and proxy in the store's file.";
    /// No connection came about in time.
    ServerConnectTimeout = 503 "server_connect_timeout"
        "No connection to the payment platform came about in time."
        "Check the machine's network (ip route) and any firewall between it and the platform, then try again.";
    /// The server's name has no address that can be found.
    ServerNameUnresolved = 503 "server_name_unresolved"
        "The name of the payment platform, or of the proxy, cannot be resolved."
        "Run getent ahosts with the host of issuer, and try again once it answers; the name servers are in /etc/resolv.conf.";
    /// The metadata is not what the contract wants.
    ServerUnacceptable = 502 "server_unacceptable"
        "The payment platform's description of itself is not acceptable."
        "Check issuer in the store's file: the exact address, with or without www, and no final slash.";
    /// The exchange broke off, or a passing failure.
    ServerUnreachable = 503 "server_unreachable"
        "The payment platform cannot be reached at the moment."
        "Try again in a moment. If it lasts, check the machine's network and name resolution.";
    /// The server shows a certificate that cannot be trusted for another reason than the above.
    ServerUntrusted = 503 "server_untrusted"
        "The payment platform shows a certificate that this machine does not trust."
        "Check the machine's clock; where a proxy or a private authority signs, name its certificate as ca_file in the store's file.";
    /// `admin_users` names others than this caller.
    StewardOnly = 403 "steward_only"
        "Only the users named in admin_users may connect or disconnect this store."
        "Run counterfoild connect or counterfoild disconnect as root, or add the plugin's user to admin_users in the store's file.";
    /// `Counterfoil-Site` is there and cannot be read.
    SiteHeaderMalformed = 400 "site_header_malformed"
        "The plugin does not say in an understandable way which site it runs in."
        "Send Counterfoil-Site: home; blog; path as the local API describes it, once, or update the plugin.";
    /// The caller is another site than the one that is bound.
    SiteMismatch = 409 "site_mismatch"
        "This site is not the one that the connection was made for; it may be a copy."
        "If this is a copy, such as staging, give it a daemon of its own; if the store moved here, counterfoild status on its machine names the command.";
    /// Nobody with this home has called.
    SiteUnknown = 409 "site_unknown"
        "No such site has called this daemon since it started."
        "Open a page of that site which uses the plugin, then run the command again; counterfoild status lists the sites that called.";
    /// The state could not be written.
    StorageFailed = 503 "storage_failed"
        "The daemon cannot write its state; nothing was begun."
        "Make room on the disk and check that the state directory can be written; it is tried again with the next change, at the next renewal at the latest.";
    /// The disk neither takes what is written nor refuses it.
    StorageStuck = 503 "storage_stuck"
        "The daemon waits for its disk, which does not answer."
        "Look at the disk of the state directory (dmesg); a service manager that watches the daemon restarts it by itself, and what was begun is taken up again.";
    /// One token after the other has ended before it could be used; usually a clock.
    TokenExpired = 503 "token_expired"
        "The payment platform's tokens have ended by the time they arrive; usually the machine's clock is wrong."
        "Set the machine's clock (timedatectl status shows it), then try again.";
    /// The API's answer holds the token that it was sent.
    TokenEchoed = 502 "token_echoed"
        "The payment platform's answer held this store's token, so it was not passed on."
        "Tell the platform's support which call this was; the token itself is in no log of the daemon.";
    /// The caller over TCP has another plugin's token.
    TokenMismatch = 403 "bearer_mismatch"
        "The request's bearer token belongs to another plugin than the one that sends it."
        "Give this plugin a line and a token of its own in the token file, then run: counterfoild reload";
    /// The caller over TCP has no or a wrong bearer token.
    TokenRequired = 401 "bearer_required"
        "The request has no valid bearer token for this daemon."
        "Read this plugin's token from the token file and send it as Authorization: Bearer.";
    /// The server gave a token that we must not believe.
    TokenUnacceptable = 502 "token_unacceptable"
        "The payment platform answered a token that is not for this store."
        "Press Connect again; if it stays, tell the platform's support.";
    /// One caller has too many connections.
    TooManyConnections = 429 "too_many_connections"
        "This caller has more connections to the daemon than one may have."
        "Close connections after use, or keep one and use it again; see how many processes of the store run.";
    /// One caller asks too often.
    TooManyRequests = 429 "too_many_requests"
        "This caller asks more often than the daemon lets one caller ask."
        "Wait as long as Retry-After says. If the store is honestly that busy, raise local.limits in the store's file.";
    /// The API's answer is larger than we pass on.
    UpstreamTooLarge = 502 "upstream_too_large"
        "The payment platform's answer is larger than the daemon passes on."
        "Ask for less at a time.";
    /// The URL to sign for does not lie below the API base.
    UrlRefused = 403 "url_refused"
        "Proofs are signed only for the payment platform's API."
        "Send an absolute URL below the API base, without dots, doubled slashes or encoded characters.";
    /// A delivery is not what it must be: headers doubled, the signature's header or the body malformed.
    WebhookMalformed = 400 "webhook_malformed"
        "The notification is not one that the payment platform sends."
        "Answer the sender with this status; hand over headers and body exactly as they came.";
    /// There is no webhook secret to judge by.
    WebhookNotConfigured = 409 "webhook_not_configured"
        "This store receives no notifications of the payment platform."
        "Set webhook_url in the store's file, run counterfoild reload, and connect the store.";
    /// The memory of deliveries is full.
    WebhookOverload = 503 "webhook_overload"
        "More notifications came within minutes than the daemon remembers."
        "Answer the sender with this status: the payment platform sends again.";
    /// A new secret is on its way, and this delivery may be signed with it.
    WebhookPending = 503 "webhook_pending"
        "The secret that the payment platform signs its notifications with is being changed right now."
        "Answer the sender with this status: the payment platform sends again.";
    /// The server refuses the webhook subscription.
    WebhookRefused = 502 "webhook_refused"
        "The payment platform refused to send notifications to this store."
        "Check webhook_url in the store's file; then run: counterfoild webhook rotate";
    /// The same delivery was verified before.
    WebhookReplayed = 409 "webhook_replayed"
        "This notification was already taken."
        "Do nothing with it; answer the sender with this status.";
    /// No secret of ours signed this.
    WebhookSignatureInvalid = 401 "webhook_signature_invalid"
        "The notification is not signed by the payment platform."
        "Do nothing with it; answer the sender with this status. If all are refused, run: counterfoild webhook rotate";
    /// No header carries a signature.
    WebhookSignatureMissing = 400 "webhook_signature_missing"
        "The notification is not signed."
        "Do nothing with it; answer the sender with this status, and hand over all headers of the request.";
    /// Signed too long ago, or too far ahead.
    WebhookStale = 401 "webhook_stale"
        "The notification was signed too long ago, or by a clock that is ahead."
        "Do nothing with it; answer the sender with this status. If all are refused, set the machine's clock.";
    /// A delivery of another subscription, installation, approval or company.
    WebhookWrongSubscription = 400 "webhook_wrong_subscription"
        "The notification is meant for another connection than this store's."
        "Do nothing with it; answer the sender with this status.";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.words().code)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().copied().find(|code| code.words().code == name);
        known.ok_or_else(|| serde::de::Error::custom("an unknown trouble"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_said_whole_and_once() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            let words = code.words();
            assert!(seen.insert(words.code), "{} twice", words.code);
            assert!((400..600).contains(&words.status), "{}", words.code);
            assert!(words.message.ends_with('.'), "{}", words.code);
            assert!(words.next_step.len() > 10, "{}", words.code);
            let text = serde_json::to_string(code).expect("a string");
            assert_eq!(serde_json::from_str::<Code>(&text).expect("known"), *code);
        }
    }
}
