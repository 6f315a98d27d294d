//! A site's own idea of itself, as its plugin says it with each call: `Counterfoil-Site: home; blog; path`.
//!
//! A staging copy has another home or lives in another directory, and often the same database, the same user and the
//! same socket as the shop. What a site says of itself is then all that tells the two apart.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::evidence::Evidence;

/// The longest header looked at, in bytes.
const MAX_LENGTH: usize = 4_096;

/// What a path is written with; everything else is percent-encoded (RFC 3986 §2.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-').remove(b'~');

/// One site.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Site {
    /// The address that visitors know, in its usual form, without a final slash.
    pub(crate) home: String,
    /// The number of the blog in its network; 1 where there is no network.
    pub(crate) blog: u64,
    /// The directory of its code, percent-encoded.
    pub(crate) path: String,
}

impl Site {
    /// Reads a header's value. `None` if it is anything but three well-formed parts.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        if header.len() > MAX_LENGTH {
            return None;
        }
        let mut parts = header.split(';').map(|part| part.trim_matches([' ', '\t']));
        let (home, blog, path) = (parts.next()?, parts.next()?, parts.next()?);
        let none_left = parts.next().is_none();
        none_left.then_some(Self { home: usual(home)?, blog: number(blog)?, path: encoded(path)? })
    }

    /// What tells `self` from the site that is bound. http and https are one, and so are paths that are not looked at.
    pub(crate) fn differences(&self, bound: &Self, check_path: bool) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        if !same_home(&bound.home, &self.home) {
            let (bound, seen) = (bound.home.clone(), self.home.clone());
            evidence.push(Evidence::OtherHome { bound, seen });
        }
        if bound.blog != self.blog {
            evidence.push(Evidence::OtherBlog { bound: bound.blog, seen: self.blog });
        }
        if check_path && bound.path != self.path {
            let (bound, seen) = (bound.path.clone(), self.path.clone());
            evidence.push(Evidence::OtherPath { bound, seen });
        }
        evidence
    }

    /// Whether its home is `home`, however that is written.
    pub(crate) fn is_at(&self, home: &str) -> bool {
        usual(home).is_some_and(|home| same_home(&self.home, &home))
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}; {}", self.home, self.blog, self.path)
    }
}

/// A home in its usual form: host in lower case, no default port, no final slash.
fn usual(home: &str) -> Option<String> {
    if !home.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return None;
    }
    let url = Url::parse(home).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    // The parser mends what has too few or too many slashes; a plugin that writes that is not understood.
    let (_, rest) = home.split_once("://")?;
    (plain && !rest.starts_with('/')).then(|| url.as_str().trim_end_matches('/').to_owned())
}

fn same_home(one: &str, other: &str) -> bool {
    fn without_scheme(home: &str) -> &str {
        home.split_once("://").map_or(home, |(_, rest)| rest)
    }
    without_scheme(one) == without_scheme(other)
}

fn number(blog: &str) -> Option<u64> {
    let number = blog.parse::<u64>().ok().filter(|number| *number > 0)?;
    (number.to_string() == blog).then_some(number)
}

/// An absolute path in one spelling: what needs no encoding has none.
fn encoded(path: &str) -> Option<String> {
    let well_formed = path.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !path.starts_with('/') || !path.bytes().all(|b| b.is_ascii_graphic()) || !well_formed {
        return None;
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    let printable = bytes.iter().all(|b| !b.is_ascii_control());
    printable.then(|| percent_encode(&bytes, PATH).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(header: &str) -> Site {
        Site::parse(header).expect(header)
    }

    #[test]
    fn three_parts_are_read_in_their_usual_form() {
        for (header, usual) in [
            ("https://shop.example; 1; /var/www/html/", "https://shop.example; 1; /var/www/html/"),
            ("HTTPS://Shop.Example:443/;1;/srv", "https://shop.example; 1; /srv"),
            (
                "http://shop.example:8080/Blog/ ;\t12 ; /srv",
                "http://shop.example:8080/Blog; 12; /srv",
            ),
            ("https://xn--bcher-kva.example; 1; /", "https://xn--bcher-kva.example; 1; /"),
            ("https://b%C3%BCcher.example; 1; /", "https://xn--bcher-kva.example; 1; /"),
            ("https://[::1]:8080; 1; /a%3Bb%20c", "https://[::1]:8080; 1; /a%3Bb%20c"),
            (
                "https://s.example; 1; /caf%c3%a9/%41(1)",
                "https://s.example; 1; /caf%C3%A9/A%281%29",
            ),
        ] {
            assert_eq!(site(header).to_string(), usual, "{header}");
            assert_eq!(site(usual).to_string(), usual);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("https://s.example; 1; /{}", "a".repeat(MAX_LENGTH));
        for header in [
            "",
            "https://s.example",
            "https://s.example; 1",
            "https://s.example; 1; /; ",
            "; 1; /",
            "shop.example; 1; /",
            "ftp://s.example; 1; /",
            "https:s.example; 1; /",
            "https:///s.example; 1; /",
            "https://; 1; /",
            "https://u@s.example; 1; /",
            "https://u:p@s.example; 1; /",
            "https://s.example?x; 1; /",
            "https://s.example#x; 1; /",
            "https://s.example\\x; 1; /",
            "https://s example; 1; /",
            "https://b\u{fc}cher.example; 1; /",
            "https://s.example; 0; /",
            "https://s.example; 01; /",
            "https://s.example; +1; /",
            "https://s.example; -1; /",
            "https://s.example; one; /",
            "https://s.example; 99999999999999999999; /",
            "https://s.example; 1; ",
            "https://s.example; 1; srv",
            "https://s.example; 1; C:\\shop",
            "https://s.example; 1; /a b",
            "https://s.example; 1; /caf\u{e9}",
            "https://s.example; 1; /a%2",
            "https://s.example; 1; /a%zz",
            "https://s.example; 1; /a%00",
            "https://s.example; 1; /a%0A",
            &long,
        ] {
            assert_eq!(Site::parse(header), None, "{header:.60}");
        }
    }

    #[test]
    fn a_stranger_is_told_by_home_blog_or_path() {
        #[track_caller]
        fn check(header: &str, check_path: bool, expected: &[&str]) {
            let bound = site("https://shop.example/de; 1; /var/www/html/");
            let codes: Vec<_> =
                site(header).differences(&bound, check_path).iter().map(Evidence::code).collect();
            assert_eq!(codes, expected, "{header}");
        }
        check("https://shop.example/de; 1; /var/www/html/", true, &[]);
        check("http://SHOP.example/de/; 1; /var/www/html/", true, &[]);
        check("https://shop.example/DE; 1; /var/www/html/", true, &["other_home"]);
        check("https://shop.example; 1; /var/www/html/", true, &["other_home"]);
        check("https://shop.example:8443/de; 1; /var/www/html/", true, &["other_home"]);
        check("https://www.shop.example/de; 1; /var/www/html/", true, &["other_home"]);
        check("https://shop.example/de; 2; /var/www/html/", true, &["other_blog"]);
        check("https://shop.example/de; 1; /var/www/html", true, &["other_path"]);
        check("https://shop.example/de; 1; /srv/releases/7/", false, &[]);
        check(
            "https://staging.shop.example/; 3; /var/www/staging/",
            true,
            &["other_home", "other_blog", "other_path"],
        );
    }
}
