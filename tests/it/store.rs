//! What every database must do for us: one text of tests, run on each kind of database there is.
//!
//! A test is a function over a `Fixture`; `on_every_database!` runs it once for each kind. Nothing
//! here knows which one is open but `fixture`.

/// Runs each of these tests on each kind of database.
macro_rules! on_every_database {
    ($($test:ident,)+) => {
        mod sqlite {
            $(
                #[test]
                fn $test() {
                    crate::store::fixture::on_sqlite(async |db| super::$test(&db).await);
                }
            )+
        }

        mod postgres {
            $(
                #[test]
                fn $test() {
                    crate::store::fixture::on_postgres(async |db| super::$test(&db).await);
                }
            )+
        }
    };
}

mod accounts;
mod calls;
mod claims;
mod crossings;
mod events_v1;
mod fencing;
mod fires;
mod fixture;
mod forget;
mod guards;
mod intake;
mod interleavings;
mod looks;
mod model;
mod notices;
mod older;
mod pauses;
mod proof;
mod proof_again;
mod prune;
mod quota;
mod schema;
mod step_back;
mod suppress;
mod totals;
