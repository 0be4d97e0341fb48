//! Where the data is kept: a file of `SQLite`, or a Postgres database.
//!
//! Never repeats the URL: it may hold a password, also where it is wrong.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::reader::Reader;
use super::secret::Place;
use super::types::Database;
use super::values::Wrong;

const KEY: &str = "database.url";
const HINT: &str =
    "write `sqlite://PATH`, for example `sqlite://lumasync.db`, or `postgres://USER@HOST/DATABASE`";

/// What may follow the `?`. The driver would write the value of any other into the log.
const PARAMETERS: [&str; 10] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

/// Reads `database.url`: the URL itself, or the place where it is kept.
pub(super) fn database(reader: &mut Reader<'_>) -> Option<Database> {
    let is_place = reader.read(KEY, |text| Ok(Place::parse(text).is_ok()))?;
    if !is_place {
        return reader.read(KEY, database_at);
    }
    let url = reader.secret(KEY);
    match database_at(url.expose_secret()) {
        Ok(database) => Some(database),
        Err(wrong) => {
            // What could not be fetched has been said.
            if reader.are_sound(&[KEY]) {
                reader.wrong(KEY, wrong);
            }
            None
        }
    }
}

/// Where a URL leads.
pub(super) fn database_at(url: &str) -> Result<Database, Wrong> {
    let url = url.trim();
    match url.split_once(':') {
        Some(("sqlite", path)) => sqlite(path.strip_prefix("//").unwrap_or(path)),
        Some(("postgres" | "postgresql", _)) => postgres(url),
        _ => Err(Wrong::new("names neither a SQLite nor a Postgres database", HINT)),
    }
}

fn sqlite(path: &str) -> Result<Database, Wrong> {
    let hint = "write `sqlite://PATH`, for example `sqlite://lumasync.db`";
    let wrong = |message: &str| Err(Wrong::new(message, hint));
    let path: PathBuf = match path {
        path if path.contains(":memory:") => {
            return wrong("names a database in memory, which would be lost at the first crash");
        }
        path if path.is_empty() || path.ends_with('/') => return wrong("names no file"),
        // What sqlx users write to have the file made, which is what we do anyway.
        path if path.ends_with("?mode=rwc") => path.trim_end_matches("?mode=rwc").into(),
        path if path.contains('?') => return wrong("has parameters, but only a path is taken"),
        path => path.into(),
    };
    Ok(Database::Sqlite(path))
}

fn postgres(text: &str) -> Result<Database, Wrong> {
    let hint = "write `postgres://USER@HOST/DATABASE`; signs like `@`, `/` and `#` in a password are written `%40`, `%2F` and `%23`";
    let url = Url::parse(text).map_err(|error| Wrong::new(format!("is not a URL: {error}"), hint))?;
    let known = |name: &str| PARAMETERS.contains(&name);
    if url.query_pairs().any(|(name, _)| !known(&name)) {
        let hint =
            format!("after the `?` may stand {}", PARAMETERS.map(|name| format!("`{name}`")).join(", "));
        return Err(Wrong::new("has a parameter that lumasync does not know", hint));
    }
    if url.fragment().is_some() {
        return Err(Wrong::new("goes on after a `#`", hint));
    }
    let parameter = |wanted: &str| {
        url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let host = parameter("host").or_else(|| url.host_str().map(|host| host.replace("%2F", "/")));
    let name = Some(url.path().trim_matches('/').to_owned()).filter(|name| !name.is_empty());
    let Some(name) = parameter("dbname").or(name) else {
        return Err(Wrong::new("names no database", hint));
    };
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".to_owned());
    Ok(Database::Postgres { url: SecretString::from(text), place: format!("{host}/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> String {
        database_at(url).expect("sound").to_string()
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        for (url, shown) in [
            ("sqlite://a.db", "a.db"),
            ("sqlite:a.db", "a.db"),
            ("sqlite:///var/a.db?mode=rwc", "/var/a.db"),
            ("postgres://ana:s3cret@db.example.org:5433/members", "db.example.org/members"),
            ("postgresql://db/members?sslmode=verify-full&sslrootcert=/etc/ca.pem", "db/members"),
            ("postgres:///members?host=/run/postgresql&user=ana", "/run/postgresql/members"),
            ("postgres://ana@%2Frun%2Fpostgresql/members", "/run/postgresql/members"),
            ("postgres:///members", "localhost/members"),
        ] {
            assert_eq!(place(url), shown, "{url}");
        }
        assert!(!format!("{:?}", database_at("postgres://ana:s3cret@db/members")).contains("s3cret"));
    }

    #[test]
    fn other_urls_are_refused_without_being_repeated() {
        for url in [
            "sqlite::memory:",
            "sqlite://",
            "sqlite://a/",
            "sqlite://a.db?mode=ro",
            "a.db",
            "mysql://ana:s3cret@a",
            "",
            "postgres://",
            "postgres://ana:s3cret@db",
            "postgres://ana:s3cret/@db/members",
            "postgres://ana:s3cret#@db/members",
            "postgres://ana:s3cret@db/members#more",
            "postgres://ana@db/members?passwd=s3cret",
        ] {
            let wrong = database_at(url).expect_err(url);
            assert!(!format!("{wrong:?}").contains("s3cret"), "{wrong:?}");
        }
    }
}
