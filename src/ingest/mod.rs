//! Files and rows of queries in, rows of members or events or row errors out, in constant memory.
//!
//! Takes what people export: packed, in old encodings, with broken quotes and odd headers. Nothing a file
//! holds can stop the rows around it. Knows no database, no network, no configuration and no runtime.

mod cells;
mod columns;
mod encoding;
mod error;
mod event;
mod event_columns;
pub mod folder;
mod framing;
mod given_name;
mod jsonl;
mod jsonl_members;
mod jsonl_results;
mod layout;
mod mapping;
mod member;
mod moving;
mod open;
mod pack;
mod person;
mod query;
mod reader;
mod results;
mod sniff;
pub mod spill;
mod table;

pub use cells::{MISSING, neutralise};
pub use encoding::Encoding;
pub use error::{Fault, FileError};
pub use event::{EventRow, read_events};
pub use given_name::safe_name;
pub use jsonl::is_jsonl;
pub use member::{MemberRow, Row, RowError, read_members};
pub use open::{Compression, Identity, identity};
pub(crate) use open::{hexadecimal, modified};
pub use person::{Hit, Told, hits, write_without};
pub use query::{ColumnsError, MemberColumns, QueryMembers, column_place, member_fields};
pub use results::{Counts, Outcome, ResultsError, write_results};
pub use table::{ReadOptions, Shape};
