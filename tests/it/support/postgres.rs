//! A Postgres for the tests: the one that `LUMASYNC_TEST_POSTGRES_URL` names, or else one of our own that
//! lives as long as this process, made of the programs that are installed.
//!
//! Where there is neither, tests on Postgres are left out, which is said once; with
//! `LUMASYNC_TEST_REQUIRE=postgres` they fail instead.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cluster::Cluster;
use super::outside::Outside;

/// A server to make databases on.
enum Server {
    Given(String),
    Own(Cluster),
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

/// One of our own, for nothing but tests: what it holds need not outlive it.
fn make() -> Result<Cluster, String> {
    let settings = [
        "fsync=off",
        "full_page_writes=off",
        "max_connections=200",
        "shared_buffers=64MB",
        "max_wal_size=2GB",
        "timezone=Asia/Kolkata",
        "default_transaction_isolation=serializable",
    ];
    Cluster::make(&std::env::temp_dir(), &settings)
}

/// One for a test that stops and starts it; `None` where none can be made.
pub(crate) fn own_cluster() -> Option<Cluster> {
    server()?;
    make().ok()
}
