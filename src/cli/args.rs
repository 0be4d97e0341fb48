//! What can be typed: commands and flags, with the words of `--help`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::events_args::EventsCommand;
use super::notify::NotifyCommand;
use super::person_args::{ForgetArgs, PruneArgs, TraceArgs};
use super::runs_args::RunsCommand;
use super::schedule_args::ScheduleCommand;
use super::suppress_args::SuppressCommand;
use crate::sandbox::v1::Settings;
use crate::sandbox::{FaultError, Faults};
use crate::telemetry::Format;

/// Keeps a Luma audience in step with your own member lists.
#[derive(Debug, Parser)]
#[command(name = "lumasync", version, about, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The configuration file [default: lumasync.toml, else /etc/lumasync/lumasync.toml]
    #[arg(long, global = true, value_name = "FILE", env = "LUMASYNC_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Override one key of the configuration, for example `--set batch.max_rows=100`; `sandbox` has keys of
    /// its own, listed below its help
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = parse_set)]
    pub(super) set: Vec<(String, String)>,
    /// How logs are written
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: Format,
    /// How much is logged: error, warn, info, debug, trace, or directives [default: info for `run`, else warn]
    #[arg(long, global = true, value_name = "LEVEL", env = "LUMASYNC_LOG")]
    pub(super) log_level: Option<String>,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(super) output: Output,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented configuration and the folders
    Init(InitArgs),
    /// Check the configuration; with --connect the database, the folders and the API key too
    Check(CheckArgs),
    /// Run the service: drop folder, queue, sending; stops cleanly on SIGTERM
    Run(RunArgs),
    /// One pass now, to the end, with progress
    Sync(SyncArgs),
    /// What a sync would send: who is new, requests, minutes at the limit, warnings; sends nothing
    Plan(PlanArgs),
    /// Carry out a plan, exactly as it was made, or refuse because the world has moved
    Apply(ApplyArgs),
    /// Health at a glance: queue depth, last runs, quota
    Status(StatusArgs),
    /// The history of runs
    Runs {
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// Events: what became of each, and the way out for those in doubt
    Events {
        #[command(subcommand)]
        command: EventsCommand,
    },
    /// A run's bad rows, as a file that can be mended and dropped back in
    Rejects(RejectsArgs),
    /// Bring failed work back to pending
    Retry(RetryArgs),
    /// People who are never sent, whatever list they are on
    Suppress {
        #[command(subcommand)]
        command: SuppressCommand,
    },
    /// All that is on record about one person, in the order of time
    Trace(TraceArgs),
    /// Erase one person everywhere within reach; the numbers of runs stay
    Forget(ForgetArgs),
    /// Schedules: when what is taken in
    Schedule {
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Notices: who is told of what needs a person
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// The database itself
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// A local Luma, for rehearsals and tests, in both dialects
    #[command(after_help = sandbox_settings())]
    Sandbox(SandboxArgs),
    /// Completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where to
    #[arg(default_value = ".")]
    pub(super) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Also open the database and the folders, and ask Luma whom the key belongs to
    #[arg(long)]
    pub(super) connect: bool,
}

/// The built-in Luma in place of the configured one.
#[derive(Clone, Debug, Args)]
pub(super) struct SandboxChoice {
    /// Use the built-in Luma instead of the configured one
    #[arg(long)]
    pub(super) sandbox: bool,
    /// Let the built-in Luma fail, for example `500@5%,reset-after@3`
    #[arg(long, value_name = "SPEC", requires = "sandbox", value_parser = parse_faults)]
    pub(super) fault: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) sandbox: SandboxChoice,
}

/// What is to be taken in.
#[derive(Clone, Debug, Args)]
pub(super) struct Selection {
    /// Files to take in; neither files nor sources mean the drop folder, every source, the queues and whatever
    /// is left over
    pub(super) files: Vec<PathBuf>,
    /// A source of the configuration to take in
    #[arg(long = "source", value_name = "NAME")]
    pub(super) sources: Vec<String>,
    /// What the rows of the files are
    #[arg(long, value_enum, default_value = "members", requires = "files")]
    pub(super) kind: KindChoice,
    /// A tag for every row of the files: a name of [tags] or an id
    #[arg(long = "tag", value_name = "TAG", requires = "files")]
    pub(super) tags: Vec<String>,
    /// The account to sync: files are for `main` where none is named, and without files it is every account
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// Take the files in though the same bytes were taken in before; of events it deliberately makes
    /// others of the same
    #[arg(long, requires = "files")]
    pub(super) again: bool,
    #[command(flatten)]
    pub(super) sandbox: SandboxChoice,
}

impl Selection {
    /// Whether everything there is is meant.
    pub(super) fn names_nothing(&self) -> bool {
        self.files.is_empty() && self.sources.is_empty()
    }
}

#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    #[command(flatten)]
    pub(super) what: Selection,
    /// Only show what would be sent, as `plan` does
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// Approve what a guard holds of this pass
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) what: Selection,
    /// Also write the plan into a file, for `apply`; it holds no address
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    /// What `plan --out` has written
    pub(super) plan: PathBuf,
    #[command(flatten)]
    pub(super) sandbox: SandboxChoice,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only say whether the service of this machine or container lives: exit code 0, or 1 where it does not
    #[arg(long)]
    pub(super) alive: bool,
}

/// What the rows of files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindChoice {
    /// People for the audience.
    Members,
    /// Events to be created.
    Events,
}

#[derive(Debug, Args)]
pub(super) struct RejectsArgs {
    /// The run
    pub(super) run: i64,
    /// How the rows are written
    #[arg(long, value_enum, default_value = "csv")]
    pub(super) format: RejectsFormat,
}

/// How bad rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RejectsFormat {
    /// The columns of the file they came from, and why.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Only this run; also lets a run go on that was stopped
    #[arg(long, value_name = "ID")]
    pub(super) run: Option<i64>,
    /// Only rows with this outcome code
    #[arg(long)]
    pub(super) code: Option<String>,
    /// Only this event, which may also be one that Luma refused
    #[arg(long, value_name = "ID", conflicts_with_all = ["run", "code"])]
    pub(super) event: Option<i64>,
    /// Only say what would be retried
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum DbCommand {
    /// Bring the tables up to date
    Migrate,
    /// Remove what is older than `[retention]` says; the service does it by itself
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Where to listen; only this machine's own addresses are allowed
    #[arg(long, default_value = "127.0.0.1:8765", value_name = "ADDRESS", value_parser = parse_loopback)]
    pub(super) listen: SocketAddr,
    /// The key it asks for; several make as many accounts, each with its own quota, people and events
    #[arg(long = "key", default_value = "sandbox-key")]
    pub(super) keys: Vec<String>,
    /// Requests it allows in a window
    #[arg(long, default_value_t = 200, conflicts_with = "no_limit")]
    pub(super) requests: u32,
    /// The length of the window
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(super) window: std::time::Duration,
    /// How long it blocks after an overrun
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(super) block: std::time::Duration,
    /// Allow any number of requests
    #[arg(long)]
    pub(super) no_limit: bool,
    /// How it fails, for example `429@10,500@5%,reset-after@3,slow=2s,html,lose=1%,reject=bad@example.org`
    #[arg(long, value_name = "SPEC", value_parser = parse_faults)]
    pub(super) fault: Vec<String>,
    /// A tag that exists, with its name where that is another; any other is refused [default: the beta
    /// knows every id, `v1` those that were created]
    #[arg(long = "tag", value_name = "ID[=NAME]")]
    pub(super) tags: Vec<String>,
    /// What it does with addresses that are none
    #[arg(long, value_enum, default_value = "drop")]
    pub(super) malformed: MalformedChoice,
    /// The largest body it takes, in bytes
    #[arg(long, default_value_t = 8 * 1024 * 1024, value_name = "BYTES")]
    pub(super) max_body: usize,
    /// What its chance begins with
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// The file that what it holds survives in; without one it is gone at the end
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// A key for the calendars of all keys, in the dialect `v1`: requests name theirs
    #[arg(long, value_name = "KEY")]
    pub(super) organization_key: Option<String>,
    /// Requests that key allows in a window
    #[arg(long, default_value_t = 500, value_name = "REQUESTS")]
    pub(super) organization_requests: u32,
}

/// What the sandbox does with addresses that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum MalformedChoice {
    /// Answers well and does not store them.
    Drop,
    /// Refuses the request and names them.
    Reject,
    /// Takes them like any other.
    Accept,
}

/// What `--set` means to the sandbox, which reads no configuration.
fn sandbox_settings() -> String {
    format!(
        "What nobody knows of Luma is set here with `--set KEY=VALUE` (defaults first):\n{}",
        Settings::help()
    )
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("there is no `=` between key and value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Read again where they are used: several of them count as one list.
fn parse_faults(text: &str) -> Result<String, FaultError> {
    text.parse::<Faults>().map(|_| text.to_owned())
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "it is no `ADDRESS:PORT`, as `127.0.0.1:8765` is")?;
    if address.ip().to_canonical().is_loopback() {
        Ok(address)
    } else {
        Err("other machines could reach it, and the sandbox listens on this machine's own addresses only"
            .into())
    }
}

fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::parse_duration(text)
}
