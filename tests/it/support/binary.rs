//! Running the binary as people do: in a folder, with arguments and an environment, to its end or not.
//!
//! What it says goes into files, so that it can be read at any time and never stops the process.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::{KEY, Scratch, within};

/// How long any command may take; what takes longer hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A command that has not been started.
#[must_use]
pub(crate) struct Binary(Command);

impl Binary {
    /// lumasync in a folder, without the settings of whoever runs the tests.
    pub(crate) fn new(scratch: &Scratch, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        Self::other(env!("CARGO_BIN_EXE_lumasync"), scratch, args)
    }

    /// Any other program in the same way.
    pub(crate) fn other(
        program: &str,
        scratch: &Scratch,
        args: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(args).current_dir(scratch.root()).stdin(Stdio::null()).env("TEST_LUMA_KEY", KEY);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LUMASYNC") {
                command.env_remove(name);
            }
        }
        Self(command)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs the command to its end.
    #[track_caller]
    pub(crate) fn run(self) -> Ended {
        self.spawn().wait()
    }

    /// Starts the command and leaves it running.
    #[track_caller]
    pub(crate) fn spawn(mut self) -> Running {
        let (stdout, stderr) = (capture(), capture());
        self.0.stdout(stdout.reopen().expect("a handle")).stderr(stderr.reopen().expect("a handle"));
        let child = self.0.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.0));
        Running { child, command: self.0, stdout, stderr }
    }
}

fn capture() -> NamedTempFile {
    NamedTempFile::new().expect("a file")
}

/// A command that was started. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    command: Command,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
}

impl Running {
    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Lets it stand still, as a machine that is suspended does, until it is resumed.
    pub(crate) fn suspend(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, name: &str) {
        let (option, pid) = (format!("-{name}"), self.child.id().to_string());
        let sent = Command::new("kill").args([&option, &pid]).status();
        assert!(sent.expect("the program `kill`").success(), "no process {pid}");
    }

    /// Ends it at once with SIGKILL, which nothing can prepare for.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().expect("a process of ours");
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let ended = within(PATIENCE, || self.child.try_wait().expect("a process of ours").is_some());
        if !ended {
            self.child.kill().expect("a process of ours");
        }
        let status = self.child.wait().expect("a process of ours");
        let ended_or_not = Ended {
            command: format!("{:?}", self.command),
            folder: self.command.get_current_dir().expect("a folder").to_owned(),
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        };
        assert!(ended, "killed because it had not ended after {PATIENCE:?}\n{ended_or_not}");
        ended_or_not
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }
}

fn text(file: &NamedTempFile) -> String {
    String::from_utf8_lossy(&fs::read(file).expect("a file of ours")).into_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended. Its text tells all there is to know, for messages of failed checks.
#[derive(Debug)]
pub(crate) struct Ended {
    command: String,
    folder: PathBuf,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails, and shows everything, unless it ended with this exit code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "exit code\n{self}");
        self
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, folder, status, stdout, stderr } = self;
        write!(f, "command: {command}\nfolder: {}\n{status}\n", folder.display())?;
        write!(f, "--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}
