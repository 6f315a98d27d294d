//! The scopes of the partner API, in the words that a merchant reads before approving.

/// Every scope with what it allows.
pub const ALL: [(&str, &str); 13] = [
    ("company:read", "See your company's name and basic settings"),
    ("wallet:balances:read", "See your wallet balances"),
    ("wallet:activity:read", "See your wallet and settlement activity"),
    ("makepay:payment-links:read", "See payment links and whether they are paid"),
    ("makepay:payment-links:write", "Create and change payment links"),
    ("makepay:customers:read", "See your customer records"),
    ("makepay:customers:write", "Create and change customer records"),
    ("makepay:subscriptions:read", "See subscriptions"),
    ("makepay:subscriptions:write", "Create and change subscriptions"),
    ("makepay:settings:read", "See your payment settings and accepted currencies"),
    ("makepay:settings:write", "Change your payment settings and where notifications go"),
    ("makepay:webhooks:read", "See where payment notifications are sent, and their history"),
    ("makepay:webhooks:write", "Set up, test and resend payment notifications"),
];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// What a scope allows, in words; its name when it is an operator's own.
#[must_use]
pub fn in_words(scope: &str) -> &str {
    ALL.iter().find(|(name, _)| *name == scope).map_or(scope, |(_, words)| *words)
}

/// Names in two groups: those by which something is only seen, and all others.
pub fn by_effect<'a>(names: impl IntoIterator<Item = &'a str>) -> (Vec<&'a str>, Vec<&'a str>) {
    names.into_iter().partition(|name| name.ends_with(":read"))
}
