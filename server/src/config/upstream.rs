//! Gateway mode: the platform's own APIs behind the guard.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// One API behind the guard. What its settings mean together is read in `gateway/`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// Its name: the `aud` of identities that it is sent, and a label of metrics.
    pub name: String,
    /// What its paths begin with here: `/v1/orders`.
    pub prefix: String,
    /// What takes the prefix's place there: `http://10.0.0.5:8080/orders`.
    pub url: String,
    /// The unix socket it listens on. `url` then says what it is told as `Host`, and nothing is resolved.
    pub socket: Option<PathBuf>,
    /// Which requests are forwarded. Whatever no rule names is refused.
    pub rules: Vec<Rule>,
    /// What its own scopes allow, in the words that a merchant reads before approving.
    pub scopes: BTreeMap<String, String>,
    /// Whether a path may end with a slash. It is then judged as without.
    pub trailing_slashes: bool,
    /// Seconds for a connection, and that a request waits for one when all are taken.
    pub connect_seconds: u64,
    /// Seconds for an answer to begin, and then for each further piece of it.
    pub answer_seconds: u64,
    /// Seconds for all of it, from the first byte sent to the last one passed on.
    pub total_seconds: u64,
    /// Seconds that an unused connection is kept. Less than the API keeps it.
    pub idle_seconds: u64,
    /// Requests on their way at a time.
    pub connections: usize,
    /// The same of one client.
    pub connections_per_client: usize,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Bytes of a body that is read whole, so that the identity can name its digest. Longer ones are passed on as they
    /// come, without.
    pub max_signed_body: usize,
    /// Bytes of an answer's body.
    pub max_answer: u64,
}

/// Which requests need which scopes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The methods. `GET` admits `HEAD` too.
    pub methods: Vec<String>,
    /// The path below the prefix: `*` is one segment, `**` at the end any further ones, the empty text the prefix
    /// itself. Without it, everything.
    pub path: Option<String>,
    /// The scopes, all of which are needed.
    pub scopes: Vec<String>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: String::new(),
            prefix: String::new(),
            url: String::new(),
            socket: None,
            rules: Vec::new(),
            scopes: BTreeMap::new(),
            trailing_slashes: false,
            connect_seconds: 5,
            answer_seconds: 30,
            total_seconds: 300,
            idle_seconds: 4,
            connections: 64,
            connections_per_client: 32,
            max_body: 1024 * 1024,
            max_signed_body: 1024 * 1024,
            max_answer: 16 * 1024 * 1024,
        }
    }
}
