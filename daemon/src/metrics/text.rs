//! Prometheus' text form (exposition format 0.0.4). Names are stable; a label's values are ours and few.

use std::{
    fmt::{Display, Write as _},
    sync::{PoisonError, atomic::Ordering},
};

use counterfoil_protocol::UnixTime;
use hyper::header::HeaderValue;

use super::{BUCKETS, Metrics};
use crate::{
    history::Kind,
    session::{State, Status},
    trouble::Code,
};

/// The type of what is told.
pub(crate) const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A text as it grows, one family after the other.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP counterfoild_{name} {help}\n# TYPE counterfoild_{name} {kind}"
        );
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "counterfoild_{name}");
        for (place, (label, value)) in labels.iter().enumerate() {
            let opening = if place == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{opening}{label}=\"{value}\"");
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{closing} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.family(name, "gauge", help);
            self.sample(name, &[], value);
        }
    }
}

impl Metrics {
    /// Everything that is counted, and how it is.
    pub(crate) fn told(&self, status: &Status, started_at: UnixTime, dropped: u64) -> String {
        let mut text = Text::default();
        text.family("build_info", "gauge", "The version that runs.");
        text.sample("build_info", &[("version", crate::VERSION)], 1);
        let start = Some(started_at.0);
        text.gauge("start_time_seconds", "When the daemon started, since 1970.", start);
        text.family("state", "gauge", "The state of the connection: 1 for the one it is in.");
        for state in State::ALL {
            let is_it = u8::from(*state == status.state);
            text.sample("state", &[("state", state.name())], is_it);
        }
        let token = status.token.as_ref();
        text.gauge(
            "token_expiry_timestamp_seconds",
            "When the access token ends, since 1970.",
            token.map(|token| token.expires_at.0),
        );
        text.gauge(
            "last_renewal_timestamp_seconds",
            "When the tokens came, since 1970.",
            token.map(|token| token.issued_at.0),
        );
        text.gauge(
            "server_reachable",
            "Whether the platform answered the last time.",
            status.server.reachable.map(u8::from),
        );
        text.gauge(
            "clock_offset_seconds",
            "How far the platform's clock is ahead of this machine's, where that was learned.",
            status.server.clock_offset,
        );
        self.tell_counters(&mut text, dropped);
        self.tell_latency(&mut text);
        text.0
    }

    fn tell_counters(&self, text: &mut Text, dropped: u64) {
        text.family("events_total", "counter", "What happened, by event.");
        for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Called) {
            let count = self.events[*kind as usize].load(Ordering::Relaxed);
            text.sample("events_total", &[("event", kind.name())], count);
        }
        text.family("requests_total", "counter", "Calls of plugins and people, by what they got.");
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((method, path, outcome), count) in calls {
            let labels = [("method", method), ("path", path), ("outcome", outcome)];
            text.sample("requests_total", &labels, count);
        }
        text.family("problems_total", "counter", "Problems that callers were told, by code.");
        for (code, count) in Code::ALL.iter().zip(&self.refusals) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                text.sample("problems_total", &[("code", code.words().code)], count);
            }
        }
        let help = "Records of the history that the disk did not take.";
        text.family("history_dropped_total", "counter", help);
        text.sample("history_dropped_total", &[], dropped);
    }

    fn tell_latency(&self, text: &mut Text) {
        const NAME: &str = "upstream_request_duration_seconds";
        let help = "How long the platform took to the head of its answer.";
        text.family(NAME, "histogram", help);
        let mut count = 0;
        let ends = BUCKETS.iter().map(|end| seconds(*end)).chain(["+Inf".to_owned()]);
        for (end, bucket) in ends.zip(&self.latency) {
            count += bucket.load(Ordering::Relaxed);
            text.sample(&format!("{NAME}_bucket"), &[("le", &end)], count);
        }
        let sum = self.latency_sum_ms.load(Ordering::Relaxed);
        text.sample(&format!("{NAME}_sum"), &[], seconds(sum));
        text.sample(&format!("{NAME}_count"), &[], count);
        let help = "Requests to the platform that got no answer.";
        text.family("upstream_unanswered_total", "counter", help);
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        text.sample("upstream_unanswered_total", &[], unanswered);
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_counted_is_told() {
        let config = Config::parse(
            "platform = \"medusa\"\nissuer = \"https://pay.example\"\n\
             site_url = \"https://shop.example\"\nredirect_uri = \"https://shop.example/cb\"\n",
        )
        .expect("a store");
        let metrics = Metrics::new();
        metrics.happened(Kind::Renewed);
        metrics.called("GET", "/v1/status", "2xx");
        metrics.called("GET", "/v1/status", "2xx");
        metrics.refused(Code::NotConnected);
        metrics.exchanged(Duration::from_millis(30), true);
        metrics.exchanged(Duration::from_mins(1), true);
        metrics.exchanged(Duration::ZERO, false);
        let status = Status::bare(State::Degraded, &config);
        let told = metrics.told(&status, UnixTime(1_800_000_000), 3);
        for line in [
            "counterfoild_start_time_seconds 1800000000",
            "counterfoild_state{state=\"degraded\"} 1",
            "counterfoild_state{state=\"connected\"} 0",
            "counterfoild_events_total{event=\"renewed\"} 1",
            "counterfoild_events_total{event=\"safe_mode\"} 0",
            "counterfoild_requests_total{method=\"GET\",path=\"/v1/status\",outcome=\"2xx\"} 2",
            "counterfoild_problems_total{code=\"not_connected\"} 1",
            "counterfoild_history_dropped_total 3",
            "counterfoild_upstream_request_duration_seconds_bucket{le=\"0.025\"} 0",
            "counterfoild_upstream_request_duration_seconds_bucket{le=\"0.050\"} 1",
            "counterfoild_upstream_request_duration_seconds_bucket{le=\"10.000\"} 1",
            "counterfoild_upstream_request_duration_seconds_bucket{le=\"+Inf\"} 2",
            "counterfoild_upstream_request_duration_seconds_sum 60.030",
            "counterfoild_upstream_unanswered_total 1",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
        }
        assert!(!told.contains("token_expiry"), "nothing is said of a token that is not there");
        assert!(told.ends_with('\n'));
    }
}
