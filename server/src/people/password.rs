//! What a new password must be (NIST SP 800-63B §5.1.1): long enough, not endless, and nothing that is tried first.

/// The shortest, in characters.
pub const MIN_LENGTH: usize = 8;

/// The longest, in bytes.
pub const MAX_LENGTH: usize = 1_024;

/// What everybody tries first, of those that are long enough.
const COMMON: [&str; 16] = [
    "password",
    "password1",
    "passw0rd",
    "12345678",
    "123456789",
    "1234567890",
    "87654321",
    "11111111",
    "00000000",
    "qwertyui",
    "qwertyuiop",
    "iloveyou",
    "sunshine",
    "letmein123",
    "admin123",
    "changeme",
];

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Weak {
    /// Too short.
    #[error("The password is too short: it needs at least {MIN_LENGTH} characters.")]
    Short,
    /// Too long.
    #[error("The password is too long.")]
    Long,
    /// Everybody tries it.
    #[error("This password is one of the first that anybody tries. Choose another.")]
    Common,
    /// The address.
    #[error("The password must not be the e-mail address.")]
    Address,
}

/// Judges a password for the person with this address.
pub fn judge(password: &str, email: &str) -> Result<(), Weak> {
    if password.chars().count() < MIN_LENGTH {
        return Err(Weak::Short);
    }
    if password.len() > MAX_LENGTH {
        return Err(Weak::Long);
    }
    let plain = password.to_lowercase();
    let (name, _) = email.split_once('@').unwrap_or((email, ""));
    if plain == email || plain == name {
        return Err(Weak::Address);
    }
    let first = plain.chars().next();
    if COMMON.contains(&plain.as_str()) || plain.chars().all(|c| Some(c) == first) {
        return Err(Weak::Common);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let judge = |password: &str| judge(password, "constance@shop.example");
        for good in ["correct horse", "12345679", "pässwörter", "        x"] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for (weak, why) in [
            ("", Weak::Short),
            ("seven77", Weak::Short),
            ("äöüßäöü", Weak::Short),
            ("PassWord", Weak::Common),
            ("xxxxxxxxxxxx", Weak::Common),
            ("Constance", Weak::Address),
            ("CONSTANCE@shop.example", Weak::Address),
            (&"ab".repeat(513), Weak::Long),
        ] {
            assert_eq!(judge(weak), Err(why), "{weak}");
        }
    }
}
