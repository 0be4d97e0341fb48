//! Text that other programs wrote: `SQLite` keeps whatever bytes it is given, and one row of them must not
//! keep its neighbours from being read. Postgres takes in nothing but text.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Postgres, Sqlite, Type, ValueRef as _};

/// A text, or none, with `U+FFFD` for what is none; intake refuses it where it matters.
pub(super) struct Lossy(Option<String>);

impl From<Lossy> for String {
    fn from(text: Lossy) -> Self {
        text.0.unwrap_or_default()
    }
}

impl From<Lossy> for Option<String> {
    fn from(text: Lossy) -> Self {
        text.0
    }
}

impl Type<Sqlite> for Lossy {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl<'r> Decode<'r, Sqlite> for Lossy {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            return Ok(Self(None));
        }
        let bytes = <&[u8] as Decode<Sqlite>>::decode(value)?;
        Ok(Self(Some(String::from_utf8_lossy(bytes).into_owned())))
    }
}

impl Type<Postgres> for Lossy {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Lossy {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.is_null() {
            return Ok(Self(None));
        }
        <String as Decode<Postgres>>::decode(value).map(Some).map(Self)
    }
}
