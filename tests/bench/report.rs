//! The figures, as a table.

use std::time::Duration;

use crate::load::Measured;

/// Lines to be printed together at the end.
#[derive(Default)]
pub struct Report(Vec<String>);

impl Report {
    pub fn line(&mut self, text: String) {
        self.0.push(text);
    }

    /// A measurement with its rate, its latencies and the CPU it cost, where that is known.
    pub fn measurement(&mut self, what: &str, measured: &Measured, cpu_us: Option<f64>) {
        let rate = measured.count() / measured.wall.as_secs_f64();
        let mut latencies = measured.latencies.clone();
        latencies.sort_unstable();
        let at = |share: usize| {
            latencies.get(latencies.len() * share / 100).copied().unwrap_or_default()
        };
        let us = |latency: Duration| latency.as_secs_f64() * 1e6;
        self.line(format!(
            "{what:<52} {rate:>8.0}/s   p50 {:>7.0} us   p99 {:>7.0} us{}",
            us(at(50)),
            us(at(99)),
            cpu_us.map_or_else(String::new, |cpu| format!("   CPU {cpu:>6.1} us")),
        ));
    }

    /// How many times as long one thing takes as another, in the middle.
    pub fn ratio(&mut self, other: &str, this: &Measured, that: &Measured) {
        self.line(format!("    = {:.2} times {other}", this.middle_us() / that.middle_us()));
    }

    #[expect(clippy::print_stdout, reason = "this is what a benchmark is for")]
    pub fn print(&self) {
        println!("{}", self.0.join("\n"));
    }
}
