//! The upstreams as the settings describe them: read once, or refused with what is wrong.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use hyper::{Uri, header::HeaderValue};
use url::{Position, Url};

use super::{
    path,
    rules::{Rules, Verdict, is_unreserved},
};
use crate::config;

/// The longest name of an upstream, in bytes.
const MAX_NAME: usize = 32;

/// The most requests on their way to one upstream.
const MAX_CONNECTIONS: usize = 10_000;

/// What our own paths begin with, and so no prefix may.
const OWN: [&str; 18] = [
    ".well-known",
    "account",
    "api",
    "assets",
    "companies",
    "forgotten-password",
    "healthz",
    "icons",
    "invitation",
    "metrics",
    "oauth",
    "operator",
    "payment",
    "readyz",
    "reset-password",
    "sign-in",
    "sign-out",
    "signed-out",
];

/// Below our own resource a prefix may stand where the partner API has nothing.
const PARTNER: &str = "/api/partner/v1/";

/// What the partner API uses itself below [`PARTNER`].
const PARTNER_OWN: [&str; 5] = ["companies", "company", "docs", "makepay", "openapi.json"];

/// One API behind the guard.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// What its paths begin with here, without a final slash.
    pub prefix: String,
    /// Its origin and what takes the prefix's place, without a final slash.
    pub base: Url,
    /// `Host`, as it is told.
    pub host: HeaderValue,
    /// The socket to connect to, in place of the URL's host.
    pub socket: Option<PathBuf>,
    /// Which requests need which scopes.
    pub rules: Rules,
    /// How much and how long.
    pub bounds: Bounds,
    trailing_slashes: bool,
}

/// How much is taken and passed on, and how long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For a connection, and for a free one.
    pub connect: Duration,
    /// For an answer to begin, and for each further piece of it.
    pub answer: Duration,
    /// For all of it.
    pub total: Duration,
    /// For an unused connection.
    pub idle: Duration,
    /// Requests on their way at a time.
    pub connections: usize,
    /// The same of one client.
    pub connections_per_client: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of a body that has a digest.
    pub signed_body: usize,
    /// Bytes of an answer's body.
    pub answer_body: u64,
}

/// What a path comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Judged<'a> {
    /// It is not plain.
    NotPlain(path::PathFault),
    /// What the rules say.
    Ruled(Verdict<'a>),
}

/// Reads all upstreams, or says what is wrong with which.
pub fn read(settings: &[config::Upstream]) -> Result<Vec<Upstream>, String> {
    let mut upstreams: Vec<Upstream> = Vec::new();
    let mut words = BTreeMap::new();
    for (at, one) in settings.iter().enumerate() {
        let called =
            if one.name.is_empty() { (at + 1).to_string() } else { format!("{:?}", one.name) };
        let wrong = |why: String| format!("upstream {called}: {why}");
        let upstream = Upstream::read(one).map_err(wrong)?;
        for other in &upstreams {
            if other.name == upstream.name {
                return Err(wrong("another one has this name".to_owned()));
            }
            let (long, short) = if other.prefix.len() > upstream.prefix.len() {
                (&other.prefix, &upstream.prefix)
            } else {
                (&upstream.prefix, &other.prefix)
            };
            if format!("{long}/")
                .to_ascii_lowercase()
                .starts_with(&format!("{short}/").to_ascii_lowercase())
            {
                return Err(wrong(format!(
                    "prefix {:?} and {:?} of upstream {:?} overlap",
                    upstream.prefix, other.prefix, other.name
                )));
            }
        }
        for (scope, said) in &one.scopes {
            if words.insert(scope, said).is_some_and(|before| before != said) {
                return Err(wrong(format!("the scope {scope:?} has other words elsewhere")));
            }
        }
        upstreams.push(upstream);
    }
    Ok(upstreams)
}

impl Upstream {
    fn read(settings: &config::Upstream) -> Result<Self, String> {
        let config::Upstream { name, prefix, url, .. } = settings;
        let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(in_name) {
            return Err(format!(
                "name must be 1 to {MAX_NAME} lower-case letters, digits and -: name = \"orders\""
            ));
        }
        check_prefix(prefix)?;
        let (base, host) = read_url(url)?;
        if settings.socket.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err("socket must be an absolute path".to_owned());
        }
        if settings.socket.is_some() && base.scheme() != "http" {
            return Err("with a socket the url begins with http://".to_owned());
        }
        let rules = Rules::read(&settings.rules)?;
        Ok(Self {
            name: name.clone(),
            prefix: prefix.clone(),
            base,
            host,
            socket: settings.socket.clone(),
            rules,
            bounds: Bounds::read(settings)?,
            trailing_slashes: settings.trailing_slashes,
        })
    }

    /// Judges the path of a request that begins with the prefix, as the bytes that were sent.
    #[must_use]
    pub fn judge(&self, method: &str, path: &str) -> Judged<'_> {
        let plain = match path::plain(path, self.trailing_slashes) {
            Ok(plain) => plain,
            Err(fault) => return Judged::NotPlain(fault),
        };
        let below = plain.strip_prefix(self.prefix.as_str()).unwrap_or_default();
        match below.strip_prefix('/') {
            Some(rest) => Judged::Ruled(self.rules.judge(method, rest)),
            None if plain == self.prefix => Judged::Ruled(self.rules.judge(method, "")),
            None => Judged::Ruled(Verdict::Unknown),
        }
    }

    /// Where a request goes: the base in the prefix's place, every further byte as it was sent.
    #[must_use]
    pub fn target(&self, path_and_query: &str) -> Option<Uri> {
        let rest = path_and_query.strip_prefix(self.prefix.as_str())?;
        let base = self.base.as_str().trim_end_matches('/');
        // A base without a path needs one, even if nothing follows.
        let slash = if rest.starts_with('/') || base != self.origin() { "" } else { "/" };
        format!("{base}{slash}{rest}").parse().ok()
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.base[..Position::BeforePath]
    }

    /// Every path that leads here, as the router writes them.
    #[must_use]
    pub fn routes(&self) -> Vec<String> {
        let Self { prefix, .. } = self;
        let mut routes = vec![prefix.clone(), format!("{prefix}/{{*rest}}")];
        if self.trailing_slashes {
            routes.push(format!("{prefix}/"));
        }
        routes
    }
}

impl Bounds {
    fn read(settings: &config::Upstream) -> Result<Self, String> {
        let config::Upstream { max_body, max_signed_body, .. } = *settings;
        let at_least_one = [
            ("connect_seconds", settings.connect_seconds),
            ("answer_seconds", settings.answer_seconds),
            ("total_seconds", settings.total_seconds),
            ("connections", settings.connections as u64),
            ("connections_per_client", settings.connections_per_client as u64),
            ("max_body", max_body as u64),
            ("max_answer", settings.max_answer),
        ];
        if let Some((name, _)) = at_least_one.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} is 0: nothing would get through"));
        }
        if settings.connections > MAX_CONNECTIONS {
            return Err(format!("connections must be at most {MAX_CONNECTIONS}"));
        }
        Ok(Self {
            connect: Duration::from_secs(settings.connect_seconds),
            answer: Duration::from_secs(settings.answer_seconds),
            total: Duration::from_secs(settings.total_seconds),
            idle: Duration::from_secs(settings.idle_seconds),
            connections: settings.connections,
            connections_per_client: settings.connections_per_client.min(settings.connections),
            body: max_body,
            signed_body: max_signed_body.min(max_body),
            answer_body: settings.max_answer,
        })
    }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let segments: Vec<_> = prefix.strip_prefix('/').unwrap_or_default().split('/').collect();
    if !segments.iter().all(|segment| is_unreserved(segment) && !segment.ends_with('.')) {
        return Err(format!(
            "prefix {prefix:?} must be segments of letters, digits, -, ., _ and ~: prefix = \"/v1/orders\""
        ));
    }
    let is_in = |own: &[&str], segment: &str| own.iter().any(|it| it.eq_ignore_ascii_case(segment));
    if let Some(below) = prefix.strip_prefix(PARTNER) {
        let first = below.split('/').next().unwrap_or_default();
        return if is_in(&PARTNER_OWN, first) {
            Err(format!("prefix {prefix:?} is the partner API's own"))
        } else {
            Ok(())
        };
    }
    let first = segments.first().copied().unwrap_or_default();
    if is_in(&OWN, first) {
        return Err(format!(
            "prefix {prefix:?} is this server's own; another first segment, or a place below {PARTNER}, is free"
        ));
    }
    Ok(())
}

fn read_url(text: &str) -> Result<(Url, HeaderValue), String> {
    let wrong = |why: &str| format!("url {text:?} {why}: url = \"http://10.0.0.5:8080/orders\"");
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("must begin with http:// or https://"));
    }
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must have no user, password, query or fragment"));
    }
    let path = url.path().trim_end_matches('/');
    if !path.is_empty() && path::plain(path, false).is_err() {
        return Err(wrong("must have a plain path"));
    }
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]);
    Ok((url.clone(), host.map_err(|_| wrong("has a host that cannot be sent"))?))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn settings(change: impl FnOnce(&mut config::Upstream)) -> config::Upstream {
        let mut settings = config::Upstream {
            name: "orders".to_owned(),
            prefix: "/v1/orders".to_owned(),
            url: "http://10.0.0.5:8080/inner".to_owned(),
            rules: vec![config::Rule {
                methods: vec!["GET".to_owned()],
                path: None,
                scopes: vec!["orders:read".to_owned()],
            }],
            ..config::Upstream::default()
        };
        change(&mut settings);
        settings
    }

    fn upstream(change: impl FnOnce(&mut config::Upstream)) -> Upstream {
        Upstream::read(&settings(change)).expect("an upstream")
    }

    #[test]
    fn settings_that_cannot_work() {
        let with = |change: fn(&mut config::Upstream)| read(&[settings(change)]);
        let named = |text: &str| text.to_owned();
        for (result, words) in [
            (with(|it| it.name.clear()), "upstream 1: name must be"),
            (with(|it| it.name = "Orders".to_owned()), "upstream \"Orders\": name must be"),
            (with(|it| it.name = "a".repeat(33)), "name must be"),
            (with(|it| it.prefix.clear()), "prefix \"\" must be"),
            (with(|it| it.prefix = "/".to_owned()), "prefix \"/\" must be"),
            (with(|it| it.prefix = "v1".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/v1/".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/v1//a".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/v1/..".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/v1/{id}".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/v1/%61".to_owned()), "must be segments"),
            (with(|it| it.prefix = "/oauth/x".to_owned()), "this server's own"),
            (with(|it| it.prefix = "/Companies".to_owned()), "this server's own"),
            (with(|it| it.prefix = "/api".to_owned()), "this server's own"),
            (with(|it| it.prefix = "/api/partner/v1".to_owned()), "this server's own"),
            (with(|it| it.prefix = "/api/partner/v2/x".to_owned()), "this server's own"),
            (with(|it| it.prefix = "/api/partner/v1/makepay/x".to_owned()), "partner API's own"),
            (with(|it| it.prefix = "/api/partner/v1/company".to_owned()), "partner API's own"),
            (with(|it| it.url = "10.0.0.5:8080".to_owned()), "url \"10.0.0.5:8080\""),
            (with(|it| it.url = "ftp://10.0.0.5".to_owned()), "must begin with http"),
            (with(|it| it.url = "http://u:p@10.0.0.5".to_owned()), "must have no user"),
            (with(|it| it.url = "http://10.0.0.5/?a".to_owned()), "must have no user"),
            (with(|it| it.url = "http://10.0.0.5/#a".to_owned()), "must have no user"),
            (with(|it| it.url = "http://10.0.0.5/a//b".to_owned()), "must have a plain path"),
            (with(|it| it.socket = Some("run/a.sock".into())), "absolute path"),
            (
                with(|it| (it.socket, it.url) = (Some("/a.sock".into()), "https://a".to_owned())),
                "begins with http://",
            ),
            (with(|it| it.rules.clear()), "has no rules"),
            (with(|it| it.connections = 0), "connections is 0"),
            (with(|it| it.connections = 10_001), "connections must be at most 10000"),
            (with(|it| it.connect_seconds = 0), "connect_seconds is 0"),
            (with(|it| it.answer_seconds = 0), "answer_seconds is 0"),
            (with(|it| it.total_seconds = 0), "total_seconds is 0"),
            (with(|it| it.max_body = 0), "max_body is 0"),
            (with(|it| it.max_answer = 0), "max_answer is 0"),
        ] {
            let error = result.expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        for (name, prefix, words) in [
            ("orders", "/v2", "another one has this name"),
            ("other", "/v1/orders", "overlap"),
            ("other", "/v1/ORDERS", "overlap"),
            ("other", "/v1/orders/more", "overlap"),
            ("other", "/v1", "overlap"),
        ] {
            let other = settings(|it| (it.name, it.prefix) = (named(name), named(prefix)));
            let error = read(&[settings(|_| ()), other]).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        let other = settings(|it| (it.name, it.prefix) = (named("o"), named("/v1/orders2")));
        read(&[settings(|_| ()), other.clone()]).expect("segments are whole");
        let says = |mut it: config::Upstream, words: &str| {
            it.scopes.insert("orders:read".to_owned(), words.to_owned());
            it
        };
        read(&[says(settings(|_| ()), "See"), says(other.clone(), "See")]).expect("the same words");
        let error = read(&[says(settings(|_| ()), "See"), says(other, "Read")]).expect_err("two");
        assert!(error.contains("has other words elsewhere"), "{error}");
    }

    #[test]
    fn the_prefix_is_whole_segments() {
        let orders = upstream(|_| ());
        let needs = Judged::Ruled(Verdict::Needs(&["orders:read".to_owned()]));
        let unknown = Judged::Ruled(Verdict::Unknown);
        assert_eq!(orders.judge("GET", "/v1/orders"), needs);
        assert_eq!(orders.judge("GET", "/v1/orders/7"), needs);
        for other in ["/v1/orders2", "/v1/order", "/v1/Orders", "/v1/orders%20x"] {
            assert_eq!(orders.judge("GET", other), unknown, "{other}");
        }
        let slashed = upstream(|it| it.trailing_slashes = true);
        assert_eq!(slashed.judge("GET", "/v1/orders/"), needs);
        assert_eq!(slashed.judge("GET", "/v1/orders/7/"), needs);
        let empty = Judged::NotPlain(path::PathFault::Empty);
        assert_eq!(orders.judge("GET", "/v1/orders/"), empty);
        assert_eq!(slashed.judge("GET", "/v1/orders//"), empty);
    }

    #[test]
    fn targets() {
        for (url, sent, expected) in [
            ("http://10.0.0.5:8080", "/v1/orders", "http://10.0.0.5:8080/"),
            ("http://10.0.0.5:8080", "/v1/orders?a=b", "http://10.0.0.5:8080/?a=b"),
            ("http://10.0.0.5:8080/", "/v1/orders/7", "http://10.0.0.5:8080/7"),
            ("http://10.0.0.5/inner", "/v1/orders", "http://10.0.0.5/inner"),
            ("http://10.0.0.5/inner/", "/v1/orders/7/", "http://10.0.0.5/inner/7/"),
            (
                "https://api.example/v1/orders",
                "/v1/orders/caf%c3%A9?a=%2e%2E/&b?c=''",
                "https://api.example/v1/orders/caf%c3%A9?a=%2e%2E/&b?c=''",
            ),
            ("http://[::1]:80/", "/v1/orders?", "http://[::1]/?"),
        ] {
            let orders = upstream(|it| it.url = url.to_owned());
            let target = orders.target(sent).expect("a target");
            assert_eq!(target.to_string(), expected, "{url} {sent}");
        }
        assert_eq!(upstream(|_| ()).host, "10.0.0.5:8080");
        assert_eq!(
            upstream(|it| it.url = "https://API.example:443/x".to_owned()).host,
            "api.example"
        );
    }

    /// Every path that stands in the sources as a route begins with a segment that no prefix may have.
    #[test]
    fn no_prefix_is_where_our_own_routes_are() {
        let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
        let mut found = 0;
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    if !path.ends_with("tests") {
                        waiting.push(path);
                    }
                    continue;
                }
                let text = fs::read_to_string(&path).expect("text");
                for route in [".route(\"/", "Method::GET, \"/", "Method::POST, \"/", "&str = \"/"] {
                    for (at, _) in text.match_indices(route) {
                        let route = &text[at + route.len()..];
                        let first = route.split(['/', '"']).next().unwrap_or_default();
                        assert!(
                            first.is_empty() || OWN.contains(&first),
                            "{}: {first}",
                            path.display()
                        );
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 30, "the routes are written otherwise: {found}");
        let table = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/partner/table.rs"),
        );
        let table = table.expect("text");
        let rows =
            table.lines().filter(|line| line.trim_end().ends_with(';') && !line.contains('='));
        let firsts: Vec<_> =
            rows.filter_map(|line| line.split(" \"/").nth(1)?.split(['/', '"']).next()).collect();
        assert!(
            firsts.len() > 20 && firsts.iter().all(|it| PARTNER_OWN.contains(it)),
            "{firsts:?}"
        );
    }
}
