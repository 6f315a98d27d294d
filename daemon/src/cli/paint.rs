//! Colour, for terminals alone.

use std::io::IsTerminal as _;

/// A colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Colour {
    /// What stands out.
    Bold,
    /// What matters less.
    Dim,
    /// Good.
    Green,
    /// No colour.
    Plain,
    /// Bad.
    Red,
    /// Not good.
    Yellow,
}

/// Whether to use them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours where stdout is a terminal that has them, and nobody has set `NO_COLOR` (no-color.org).
    pub(super) fn for_stdout() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self { on: std::io::stdout().is_terminal() && !dumb && set("NO_COLOR").is_none() }
    }

    /// Whether there are colours, and so a terminal that understands more than text.
    pub(super) fn is_on(self) -> bool {
        self.on
    }

    /// Colours, or none.
    #[cfg(test)]
    pub(super) fn fixed(on: bool) -> Self {
        Self { on }
    }

    /// `text` in this colour.
    pub(super) fn with(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
        };
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_plain() {
        assert_eq!(Paint::fixed(false).with(Colour::Red, "no"), "no");
        assert_eq!(Paint::fixed(true).with(Colour::Plain, "so"), "so");
        assert_eq!(Paint::fixed(true).with(Colour::Green, "yes"), "\x1b[32myes\x1b[0m");
    }
}
