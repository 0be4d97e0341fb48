//! Processes of their own: the program starts itself again in a role and reads what it found.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use lumasync::clock::Clock;
use lumasync::sandbox::{Options, Sandbox};

const ROLE: &str = "LUMASYNC_BENCH_ROLE";
const SANDBOX: &str = "sandbox";

/// What a process found: numbers by their names.
pub(crate) struct Found(BTreeMap<String, f64>);

impl Found {
    /// The number of this name.
    pub(crate) fn get(&self, name: &str) -> anyhow::Result<f64> {
        self.0.get(name).copied().with_context(|| format!("the process did not tell `{name}`"))
    }
}

/// The role of this process and its arguments; nothing in the one that was started by hand.
pub(crate) fn role() -> Option<(String, Vec<String>)> {
    Some((env::var(ROLE).ok()?, env::args().skip(1).collect()))
}

/// Runs a role to its end.
pub(crate) fn run(role: &str, args: &[&dyn AsRef<OsStr>]) -> anyhow::Result<Found> {
    let output = command(role, args)?.stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the process for `{role}` ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let number = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    Ok(Found(text.lines().filter_map(number).collect()))
}

/// Tells the one who started this process what was found here, and its peak memory.
pub(crate) fn tell(found: &[(&str, f64)]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, number) in found {
        writeln!(out, "{name} {number}")?;
    }
    writeln!(out, "peak {}", peak_mib()?)?;
    Ok(())
}

/// The most memory this process ever held. Elsewhere than on Linux nobody tells.
fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    peak_of_status(&status).map_or(Ok(f64::NAN), |kib| Ok(kib.parse::<f64>()? / 1024.0))
}

/// KiB, as text, from what `/proc/PID/status` says.
pub(crate) fn peak_of_status(status: &str) -> Option<&str> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()
}

/// This program in a role.
pub(crate) fn command(role: &str, args: &[&dyn AsRef<OsStr>]) -> anyhow::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(ROLE, role).args(args.iter().map(AsRef::as_ref));
    Ok(command)
}

/// The built-in Luma without a limit, in a process of its own. It ends with this value.
pub(crate) struct SandboxProcess {
    child: Child,
    // Held open: its line would otherwise have nowhere to go.
    _stdout: BufReader<ChildStdout>,
    address: String,
}

impl SandboxProcess {
    /// Starts it and waits for its address.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child = command(SANDBOX, &[])?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("the sandbox has no output")?);
        let mut address = String::new();
        stdout.read_line(&mut address)?;
        let address = address.trim().to_owned();
        anyhow::ensure!(!address.is_empty(), "the sandbox did not start");
        Ok(Self { child, _stdout: stdout, address })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One of the counters that it shows at `GET /sandbox/state`.
    pub(crate) fn count(&self, name: &str) -> anyhow::Result<u64> {
        let mut stream = TcpStream::connect(&self.address)?;
        let host = &self.address;
        write!(stream, "GET /sandbox/state HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the sandbox did not answer")?;
        let state: serde_json::Value = serde_json::from_str(body)?;
        state.get(name).and_then(serde_json::Value::as_u64).with_context(|| format!("no count `{name}`"))
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        // It leaves when its input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The other side: answers until the input ends. Whether this process was started for that.
pub(crate) fn is_sandbox(role: &str) -> anyhow::Result<bool> {
    if role != SANDBOX {
        return Ok(false);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let options = Options { limit: None, ..Options::default() };
    let sandbox = runtime.block_on(Sandbox::start(options, Clock::system()))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", sandbox.url().trim_start_matches("http://"))?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(sandbox.stop())?;
    Ok(true)
}
