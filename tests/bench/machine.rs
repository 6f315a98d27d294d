//! What the machine itself can do, and how much of it a process used.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Microseconds of one ES256 operation as OpenSSL does it.
pub struct Es256 {
    pub sign_us: f64,
    pub verify_us: f64,
}

/// Measures ES256 with `openssl speed`, on `cores` cores at once. Cores that share a pipeline are slower together, and
/// under load the server has them all.
pub fn es256(cores: usize) -> Result<Es256> {
    let multi = cores.to_string();
    let mut arguments = vec!["speed", "-seconds", "2"];
    if cores > 1 {
        arguments.extend(["-multi", &multi]);
    }
    arguments.push("ecdsap256");
    let output = Command::new("openssl").args(arguments).output()?;
    ensure!(output.status.success(), "openssl speed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let line =
        text.lines().rev().find(|line| line.contains("nistp256")).context("a line for nistp256")?;
    let mut rates = line.split_whitespace().rev().filter_map(|word| word.parse::<f64>().ok());
    let verify = rates.next().context("verifications a second")?;
    let sign = rates.next().context("signatures a second")?;
    let cores = f64::from(u32::try_from(cores)?);
    Ok(Es256 { sign_us: cores * 1e6 / sign, verify_us: cores * 1e6 / verify })
}

/// The CPU time that a process uses from now on.
pub struct CpuClock {
    pid: u32,
    start_us: f64,
}

impl CpuClock {
    /// Starts counting.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, start_us: cpu_us(pid)? })
    }

    /// Microseconds of user and system time since the start.
    pub fn elapsed_us(&self) -> Result<f64> {
        Ok(cpu_us(self.pid)? - self.start_us)
    }
}

/// User and system time of a process, all threads, ended ones included (proc(5), fields 14 and 15).
fn cpu_us(pid: u32) -> Result<f64> {
    /// What `sysconf(_SC_CLK_TCK)` says on every Linux.
    const TICK_US: f64 = 10_000.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Ok((ticks(11).context("user time")? + ticks(12).context("system time")?) * TICK_US)
}
