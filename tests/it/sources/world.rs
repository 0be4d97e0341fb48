//! One test's world: lumasync, its Luma, and somebody else's database between them.

use std::cell::RefCell;
use std::ops::Range;

use crate::support::{Bench, Foreign, TestDatabase, faulty};
use lumasync::sandbox::Options;

/// Writes a test for each kind of database that members are read from.
macro_rules! on_every_source {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(&mut $crate::sources::world::World::sqlite());
            })+
        }
        mod postgres {
            $(#[test]
            fn $test() {
                let Some(mut world) = $crate::sources::world::World::postgres() else { return };
                super::$test(&mut world);
            })+
        }
    };
}

pub(crate) use on_every_source;

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) crm: Foreign,
    /// What the configuration holds beside the sources.
    lines: RefCell<String>,
    sources: RefCell<String>,
    /// Dropped last: the connection to it is closed by then.
    server: Option<TestDatabase>,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        let bench = Bench::new("", "");
        let crm = Foreign::sqlite(&bench.scratch);
        Self { bench, crm, lines: RefCell::default(), sources: RefCell::default(), server: None }
    }

    /// Over a database on a server; `None` where there is none.
    pub(crate) fn postgres() -> Option<Self> {
        let server = TestDatabase::new()?;
        let bench = Bench::new("", "");
        let crm = Foreign::postgres(&bench.scratch, &server.url);
        let (lines, sources) = Default::default();
        Some(Self { bench, crm, lines, sources, server: Some(server) })
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    /// Takes these lines into the configuration, in place of those before; sources stay.
    pub(crate) fn configure(&self, lines: &str) {
        lines.clone_into(&mut self.lines.borrow_mut());
        self.write();
    }

    fn write(&self) {
        self.bench.configure(&format!("{}\n{}", self.lines.borrow(), self.sources.borrow()));
    }

    /// Whether lumasync has made its tables.
    pub(crate) fn has_passes(&self) -> bool {
        self.bench.has_db() && self.bench.db().try_execute("select count(*) from source_positions").is_ok()
    }

    /// A source over the database, in place of those before.
    pub(crate) fn source(&self, name: &str, query: &str, lines: &str) {
        let text = source_text(name, &self.crm.url, query, lines);
        *self.sources.borrow_mut() = text;
        self.write();
    }

    /// Lets the sources point elsewhere.
    pub(crate) fn point(&self, url: &str) {
        let text = self.sources.borrow().replace(&self.crm.url, url);
        *self.sources.borrow_mut() = text;
        self.write();
    }

    /// One more.
    pub(crate) fn add_source(&self, name: &str, url: &str, query: &str) {
        self.sources.borrow_mut().push_str(&source_text(name, url, query, ""));
        self.write();
    }

    /// A Luma that fails so, in place of the one before.
    pub(crate) fn luma(&mut self, faults: &str) {
        self.bench.luma = crate::support::Luma::start(Options { limit: None, ..faulty(faults) });
        self.write();
    }

    /// People with these numbers, one a second, each with the tag `vip`. Makes the table where it is not there.
    pub(crate) fn people(&self, numbers: Range<u64>) {
        let time = if self.is_postgres() { "timestamptz" } else { "text" };
        self.crm.execute(&format!(
            "create table if not exists people (id bigint primary key, email text, tags text, updated_at {time})"
        ));
        self.crm.insert("people", numbers, |number| {
            format!("{number}, 'p{number:06}@example.org', 'vip', '{}'", moment(number))
        });
    }
}

/// When a person with this number was entered.
pub(crate) fn moment(number: u64) -> String {
    let (hour, minute, second) = (number / 3_600, number / 60 % 60, number % 60);
    format!("2026-11-{:02} {:02}:{minute:02}:{second:02}", 1 + hour / 24, hour % 24)
}

fn source_text(name: &str, url: &str, query: &str, lines: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nurl = \"{url}\"\nquery = '''{query}'''\n{lines}\n")
}
