//! The few places where one text of SQL cannot serve both databases.

use std::borrow::Cow;

/// Which SQL is spoken. A body of `write_tx!` or `read!` finds it as `DIALECT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The text for the database that is open.
    pub(super) const fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// Names the dialect for the statements that follow. An item, so that a body given to a macro sees it.
macro_rules! speak {
    ($dialect:ident) => {
        const DIALECT: $crate::store::dialect::Dialect = $crate::store::dialect::Dialect::$dialect;
        // Most bodies do not ask.
        const _: $crate::store::dialect::Dialect = DIALECT;
    };
}

/// Waits for whoever holds these rows, and keeps others from them until the transaction ends. `SQLite`
/// has one writer at a time, so there is nobody to wait for.
///
/// A statement of its own: one that waited for a row would see everything else as it was before.
macro_rules! lock_rows {
    ($tx:ident, $sql:expr, $($value:expr),+) => {
        if DIALECT == $crate::store::dialect::Dialect::Postgres {
            sqlx::query($sql)$(.bind($value))+.execute(&mut *$tx).await?;
        }
    };
}

pub(super) use {lock_rows, speak};

/// Text as both databases keep it: Postgres knows no zero byte.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
