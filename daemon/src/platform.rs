//! What differs from platform to platform, on the daemon's side of the contract.

use hyper::Method;

/// The facts of one platform. An unknown platform is treated as the contract's general case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Platform {
    /// Whether an installation names itself by a `registrationId`.
    pub(crate) sends_registration_id: bool,
    /// How the platform is asked to notify the store.
    pub(crate) webhooks: Webhooks,
    /// What to ask for where a registration answers no scopes.
    pub(crate) usual_scopes: &'static [&'static str],
    /// Which calls a plugin may have forwarded.
    pub(crate) calls: &'static [Call],
}

/// How a platform is asked to notify a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Webhooks {
    /// Each payment link names an address; one secret signs for all of them.
    LinkSecret,
    /// A subscription hangs on the grant. It is ended before a disconnect.
    Subscription,
}

/// One forwardable call: a method and a path below the API base, in which `*` is one segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    /// Its methods, sorted.
    pub(crate) methods: &'static [&'static str],
    /// Its path.
    pub(crate) path: &'static str,
}

impl Platform {
    /// The facts of the platform with this name.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "btcpay-server" => Self {
                sends_registration_id: false,
                webhooks: Webhooks::LinkSecret,
                usual_scopes: &[
                    "company:read",
                    "makepay:payment-links:read",
                    "makepay:payment-links:write",
                    "makepay:settings:read",
                    "makepay:settings:write",
                ],
                calls: CALLS,
            },
            _ => Self {
                sends_registration_id: true,
                webhooks: Webhooks::Subscription,
                usual_scopes: &[
                    "company:read",
                    "makepay:payment-links:read",
                    "makepay:payment-links:write",
                    "makepay:webhooks:read",
                    "makepay:webhooks:write",
                ],
                calls: CALLS,
            },
        }
    }
}

impl Call {
    /// The path, with `*` for one segment.
    pub(crate) fn pattern(&self) -> &'static str {
        self.path
    }

    /// Whether this is a call with `method` to `path`.
    pub(crate) fn admits(&self, method: &Method, path: &str) -> bool {
        self.methods.contains(&method.as_str()) && self.reaches(path)
    }

    /// Whether this call's path is `path`.
    pub(crate) fn reaches(&self, path: &str) -> bool {
        reaches(self.path, path)
    }
}

/// Whether a pattern, in which `*` is one segment, is that of `path`.
pub(crate) fn reaches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(fixed), Some(segment)) if fixed == segment => {}
            _ => return false,
        }
    }
}

/// Reading, and making payment links. What answers secrets or changes the company stays with the daemon.
const CALLS: &[Call] = &[
    Call { methods: &["GET", "POST"], path: "makepay/payment-links" },
    Call { methods: &["GET", "PATCH"], path: "makepay/payment-links/*" },
    Call { methods: &["GET"], path: "makepay/branding" },
    Call { methods: &["GET"], path: "makepay/settings" },
];
