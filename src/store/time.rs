//! How a moment is stored: text of one width in `SQLite`, so that text compares as time does, and
//! `timestamptz` in Postgres, which counts microseconds since 2000. Both keep every microsecond.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

use crate::clock::Time;

/// `timestamptz`, as every Postgres numbers it.
const TIMESTAMPTZ: Oid = Oid(1184);
/// The year 2000, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl Type<Sqlite> for Time {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Time {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.to_string(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Time {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Self::parse(text).ok_or_else(|| format!("`{text}` is not a moment").into())
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.writable().as_micros() - POSTGRES_EPOCH, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as Decode<Postgres>>::decode(value)?;
                // `infinity` is the last number there is.
                Ok(Self::from_micros(micros.saturating_add(POSTGRES_EPOCH)).writable())
            }
            PgValueFormat::Text => Err("a moment came as text, which is never asked for".into()),
        }
    }
}

/// A moment that other programs may have written, in any spelling or in none that can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(pub(super) Option<Time>);

impl From<Written> for Option<Time> {
    fn from(Written(time): Written) -> Self {
        time
    }
}

impl Type<Sqlite> for Written {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl<'r> Decode<'r, Sqlite> for Written {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Time::parse(<&str as Decode<Sqlite>>::decode(value)?)))
    }
}

impl Type<Postgres> for Written {
    fn type_info() -> PgTypeInfo {
        <Time as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Written {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <Time as Decode<Postgres>>::decode(value).map(Some).map(Self)
    }
}
