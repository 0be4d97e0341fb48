//! A Postgres server of one's own, made of the programs that are installed; tests and benchmarks use it.
//!
//! It listens on a socket in its folder and nowhere else, and lives as long as this process. What it is
//! for, and so its settings, is not known here.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Makes a cluster, runs it until the pipe it reads from is closed, whatever closes it, and cleans up.
const KEEPER: &str = r#"
bin=$1 dir=$2
shift 2
"$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C.UTF-8 -D "$dir/data" >"$dir/log" 2>&1 || { echo failed; exit 1; }
start() {
    "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= "$@" >>"$dir/log" 2>&1 &
    server=$!
    until "$bin/pg_isready" -q -h "$dir"; do kill -0 $server || { echo failed; exit 1; }; sleep 0.05; done
    echo ready
}
trap '' INT TERM HUP
start "$@"
while read -r what; do
    case $what in
        stop) kill -INT $server; wait $server; echo stopped ;;
        start) start "$@" ;;
    esac
done
kill -QUIT $server
wait $server
rm -rf "$dir/data" "$dir/log"
"#;

/// A server of our own. It ends when this is dropped, and when this process ends in any way.
pub(crate) struct Cluster {
    keeper: ChildStdin,
    said: BufReader<ChildStdout>,
    dir: TempDir,
}

impl Cluster {
    /// Makes one with these settings in a new folder below `place`, and starts it; or why that cannot be.
    pub(crate) fn make(place: &Path, settings: &[&str]) -> Result<Self, String> {
        let bin = programs().ok_or("no Postgres server is installed")?;
        let dir = tempfile::tempdir_in(place).map_err(|error| error.to_string())?;
        let mut keeper = Command::new("sh");
        if fs::metadata(dir.path()).is_ok_and(|meta| meta.uid() == 0) {
            // The server refuses to run as root.
            let (user, group) =
                account_of("postgres").ok_or("root, and no user `postgres` to run a server as")?;
            std::os::unix::fs::chown(dir.path(), Some(user), Some(group))
                .map_err(|error| error.to_string())?;
            keeper.uid(user).gid(group);
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        keeper.args(["-c", KEEPER, "keeper"]).arg(bin).arg(dir.path()).current_dir("/");
        keeper.args(settings.iter().flat_map(|setting| ["-c", setting]));
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let Child { stdin, stdout, .. } =
            keeper.spawn().map_err(|error| format!("cannot start a server: {error}"))?;
        let (keeper, said) = stdin.zip(stdout).ok_or("a keeper without pipes")?;
        let mut cluster = Self { keeper, said: BufReader::new(said), dir };
        if cluster.hear("ready").is_err() {
            let log = fs::read_to_string(cluster.dir.path().join("log")).unwrap_or_default();
            return Err(format!("the server did not start\n{log}"));
        }
        Ok(cluster)
    }

    /// Where `database` is.
    pub(crate) fn url(&self, database: &str) -> String {
        url_in(self.dir(), database)
    }

    /// Where its socket is.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Stops the server as an operator does: whoever is connected is cut off.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        writeln!(self.keeper, "stop")?;
        self.hear("stopped")
    }

    /// Starts it again.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        writeln!(self.keeper, "start")?;
        self.hear("ready")
    }

    fn hear(&mut self, wanted: &str) -> io::Result<()> {
        let mut said = String::new();
        self.said.read_line(&mut said)?;
        let is_wanted = said.trim() == wanted;
        is_wanted.then_some(()).ok_or_else(|| io::Error::other(format!("the server is not {wanted}")))
    }
}

/// A database of a server whose socket is in this folder.
pub(crate) fn url_in(folder: &Path, database: &str) -> String {
    format!("postgres:///{database}?host={}&user=postgres", folder.display())
}

/// The programs of the newest release that is installed.
fn programs() -> Option<PathBuf> {
    let has_server = |dir: &PathBuf| dir.join("initdb").exists() && dir.join("postgres").exists();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).filter(has_server).collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.pop().or_else(|| std::env::split_paths(&path).find(has_server))
}

/// The numbers of a user and its group.
fn account_of(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
