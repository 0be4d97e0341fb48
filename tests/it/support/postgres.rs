//! A Postgres for the tests: the one that `LUMASYNC_TEST_POSTGRES_URL` names, or else one of our own that
//! lives as long as this process, made of the programs that are installed.
//!
//! Where there is neither, tests on Postgres are left out, which is said once; with
//! `LUMASYNC_TEST_REQUIRE=postgres` they fail instead.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::outside::Outside;

/// Makes a cluster, runs it until the pipe it reads from is closed, whatever closes it, and cleans up.
const KEEPER: &str = r#"
bin=$1 dir=$2
"$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C.UTF-8 -D "$dir/data" >"$dir/log" 2>&1 || { echo failed; exit 1; }
start() {
    "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
        -c max_connections=200 -c shared_buffers=64MB -c max_wal_size=2GB -c timezone=Asia/Kolkata \
        -c default_transaction_isolation=serializable >>"$dir/log" 2>&1 &
    server=$!
    until "$bin/pg_isready" -q -h "$dir"; do kill -0 $server || { echo failed; exit 1; }; sleep 0.05; done
    echo ready
}
trap '' INT TERM HUP
start
while read -r what; do
    case $what in
        stop) kill -INT $server; wait $server; echo stopped ;;
        start) start ;;
    esac
done
kill -QUIT $server
wait $server
rm -rf "$dir/data" "$dir/log"
"#;

/// A server to make databases on.
enum Server {
    Given(String),
    Own(Cluster),
}

/// A server of our own. It ends when this is dropped, and when this process ends in any way.
pub(crate) struct Cluster {
    keeper: ChildStdin,
    said: BufReader<ChildStdout>,
    dir: TempDir,
}

static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of a test's own, dropped with it.
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    name: String,
}

impl TestDatabase {
    /// A fresh one where `LUMASYNC_TEST_DATABASE` asks for Postgres.
    pub(crate) fn asked_for() -> Option<Self> {
        match std::env::var("LUMASYNC_TEST_DATABASE").as_deref() {
            Err(_) | Ok("sqlite") => None,
            Ok("postgres") => Some(Self::new().expect("a Postgres, which was asked for")),
            Ok(other) => panic!("LUMASYNC_TEST_DATABASE is `{other}`"),
        }
    }

    /// A fresh one; `None` where there is no Postgres and none is required.
    pub(crate) fn new() -> Option<Self> {
        let server = server()?;
        let name = format!("lumasync_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { url: server.url(&name), name };
        database.create();
        Some(database)
    }

    /// Nothing is left of what was in it.
    pub(crate) fn empty(&self) {
        self.drop_it();
        self.create();
    }

    fn create(&self) {
        administer(&format!("create database {}", self.name));
    }

    fn drop_it(&self) {
        administer(&format!("drop database if exists {} with (force)", self.name));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.drop_it();
    }
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Given(url) => {
                let mut url = url::Url::parse(url).expect("a URL in LUMASYNC_TEST_POSTGRES_URL");
                url.set_path(database);
                url.into()
            }
            Self::Own(cluster) => cluster.url(database),
        }
    }
}

impl Cluster {
    /// One for a test that stops and starts it; `None` where none can be made.
    pub(crate) fn new() -> Option<Self> {
        server()?;
        make().ok()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=postgres", self.dir.path().display())
    }

    /// Stops the server as an operator does: whoever is connected is cut off.
    pub(crate) fn stop(&mut self) {
        self.tell("stop", "stopped");
    }

    pub(crate) fn start(&mut self) {
        self.tell("start", "ready");
    }

    fn tell(&mut self, what: &str, answer: &str) {
        writeln!(self.keeper, "{what}").expect("a keeper");
        assert_eq!(self.answer(), answer);
    }

    fn answer(&mut self) -> String {
        let mut said = String::new();
        self.said.read_line(&mut said).expect("a keeper");
        said.trim().to_owned()
    }
}

fn administer(sql: &str) {
    let Some(server) = server() else { return };
    // A thread of its own: a test may be in a runtime already.
    let (url, sql) = (server.url("postgres"), sql.to_owned());
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let outside = Outside::postgres(&url).await;
            outside.execute(&sql).await;
            outside.close().await;
        });
    });
    done.join().expect("carried out");
}

fn server() -> Option<&'static Server> {
    match SERVER.get_or_init(start) {
        Ok(server) => Some(server),
        Err(why) => {
            static SAID: OnceLock<()> = OnceLock::new();
            let required = std::env::var("LUMASYNC_TEST_REQUIRE").is_ok_and(|what| what.contains("postgres"));
            assert!(!required, "LUMASYNC_TEST_REQUIRE asks for Postgres: {why}");
            SAID.get_or_init(|| {
                // Past the harness, which keeps what passing tests say to itself.
                let _ = writeln!(std::io::stderr(), "note: tests on Postgres are left out: {why}");
            });
            None
        }
    }
}

fn start() -> Result<Server, String> {
    if let Ok(url) = std::env::var("LUMASYNC_TEST_POSTGRES_URL") {
        return Ok(Server::Given(url));
    }
    make().map(Server::Own)
}

fn make() -> Result<Cluster, String> {
    let bin = programs().ok_or("neither LUMASYNC_TEST_POSTGRES_URL nor an installed server")?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut keeper = Command::new("sh");
    if fs::metadata(dir.path()).is_ok_and(|meta| meta.uid() == 0) {
        // The server refuses to run as root.
        let (user, group) =
            account_of("postgres").ok_or("root, and no user `postgres` to run a server as")?;
        std::os::unix::fs::chown(dir.path(), Some(user), Some(group)).map_err(|error| error.to_string())?;
        keeper.uid(user).gid(group);
    }
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    keeper.args(["-c", KEEPER, "keeper"]).arg(bin).arg(dir.path()).current_dir("/");
    keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let Child { stdin, stdout, .. } =
        keeper.spawn().map_err(|error| format!("cannot start a server: {error}"))?;
    let (keeper, said) = (stdin.expect("a pipe"), BufReader::new(stdout.expect("a pipe")));
    let mut cluster = Cluster { keeper, said, dir };
    if cluster.answer() != "ready" {
        let log = fs::read_to_string(cluster.dir.path().join("log")).unwrap_or_default();
        return Err(format!("the server did not start\n{log}"));
    }
    Ok(cluster)
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
