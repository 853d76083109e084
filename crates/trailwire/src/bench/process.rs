//! What a process has used, from the kernel.

use std::fs;

use anyhow::Context;
use serde::Serialize;

/// CPU and memory of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    /// User CPU since the process began, all threads, microseconds.
    pub(crate) user_us: u64,
    /// The same for system CPU.
    pub(crate) system_us: u64,
    /// Resident memory, KiB.
    pub(crate) rss_kib: u64,
    /// The most resident memory so far, KiB.
    pub(crate) peak_kib: u64,
}

impl Usage {
    /// Reads `/proc/PID/stat` and `status`.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let (user, system) =
            ticks(&stat).with_context(|| format!("/proc/{pid}/stat has another form: {stat}"))?;
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        let microseconds = |ticks: u64| ticks.saturating_mul(1_000_000) / per_second;
        Ok(Self {
            user_us: microseconds(user),
            system_us: microseconds(system),
            rss_kib: kib(&status, "VmRSS:").unwrap_or(0),
            peak_kib: kib(&status, "VmHWM:").unwrap_or(0),
        })
    }

    /// User and system CPU, microseconds.
    pub(crate) fn cpu_us(&self) -> u64 {
        self.user_us + self.system_us
    }
}

/// Fields 14 and 15. The second field, the name in parentheses, may hold spaces.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
