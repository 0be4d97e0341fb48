//! Event rows: what each says, field by field, and where; whether it makes an event is not known here.

use std::ops::ControlFlow;
use std::path::Path;

use super::cells::{Cells, restore};
use super::error::FileError;
use super::event_columns::{EventColumns, field_of, is_of_members, nearly};
use super::framing::Frame;
use super::jsonl::{Lines, PassedOver, place_of};
use super::member::code_of;
use super::table::{ReadOptions, Shape, Table, column_of, describe};
use crate::domain::code::Code;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Field, Fields};
use serde_json::{Map, Number, Value};

/// One record of a file of events.
#[derive(Debug)]
pub struct EventRow {
    /// The physical line where it begins, from 1.
    pub line: u64,
    /// What it says, or why it cannot be told.
    pub read: Result<Fields, (Code, String)>,
    /// The character of the record where each field begins, from 1.
    pub columns: Vec<(Field, u64)>,
}

impl EventRow {
    /// Where a field begins, where that is known.
    #[must_use]
    pub fn column(&self, field: Field) -> Option<u64> {
        self.columns.iter().find(|(known, _)| *known == field).map(|(_, column)| *column)
    }
}

/// Reads a file of events and hands each record to `sink`, in order, until it breaks off.
pub fn read_events(
    path: &Path,
    options: &ReadOptions,
    mut sink: impl FnMut(EventRow) -> ControlFlow<()>,
) -> Result<Shape, FileError> {
    let refuse = |fault| FileError::new(path, fault);
    if super::is_jsonl(path) {
        let mut lines = Lines::open(path, options).map_err(refuse)?;
        let mut passed_over = PassedOver::default();
        while let Some(line) = lines.next().map_err(refuse)? {
            let (read, columns) = match line.object() {
                Ok(object) => of_object(&object, line.text(), options.dialect, &mut passed_over),
                Err(trouble) => (Err(trouble), Vec::new()),
            };
            if sink(EventRow { line: line.number, read, columns }).is_break() {
                break;
            }
        }
        return Ok(lines.shape(&passed_over));
    }
    let mut table = Table::of_events(path, options).map_err(refuse)?;
    let mut cells = Cells::default();
    while let Some(block) = table.next_block().map_err(refuse)? {
        for frame in &block.frames {
            let row = row(&table, &mut cells, block.record(frame), frame, options.max_cell);
            if sink(row).is_break() {
                return Ok(table.shape());
            }
        }
    }
    Ok(table.shape())
}

fn row(
    table: &Table<EventColumns>,
    cells: &mut Cells,
    record: &str,
    frame: &Frame,
    max_cell: usize,
) -> EventRow {
    cells.split(record, frame.quoted, table.delimiter());
    let blame = |code, at: usize, reason: &str| {
        let read = Err((code, format!("column {}: {reason}", column_of(record, at))));
        EventRow { line: frame.line, read, columns: Vec::new() }
    };
    if let Some((flaw, at)) = frame.flaw {
        return blame(code_of(flaw), at, describe(flaw));
    }
    if let Some((reason, at)) = table.heading.misfit(cells, record) {
        return blame(Code::RowRagged, at, &reason);
    }
    let (mut fields, mut columns) = (Fields::default(), Vec::new());
    for (at, field) in &table.columns.0 {
        let text = cells.text(record, *at);
        if text.len() > max_cell {
            return blame(
                Code::CellTooLong,
                cells.start(*at),
                &format!("`{field}` holds {} bytes", text.len()),
            );
        }
        fields.set(*field, if table.heading.ours { restore(&text) } else { &text });
        columns.push((*field, column_of(record, cells.start(*at))));
    }
    EventRow { line: frame.line, read: Ok(fields), columns }
}

type Read = (Result<Fields, (Code, String)>, Vec<(Field, u64)>);

/// A number to the last digit; `90.0` is one of those, and what has more than sixteen is not.
fn whole(number: &Number) -> Option<String> {
    let is_exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
    match number.as_f64().filter(|_| number.is_f64()) {
        None => Some(number.to_string()),
        Some(float) => Some(float).filter(is_exact).map(|float| format!("{float:.0}")),
    }
}

/// Degrees are no matter of the last digit.
fn number_of(field: Field, number: &Number) -> Option<String> {
    match field {
        Field::Latitude | Field::Longitude => Some(number.to_string()),
        _ => whole(number),
    }
}

/// Names that are no field's are remembered, so that somebody is told.
fn of_object(
    object: &Map<String, Value>,
    text: &str,
    dialect: Dialect,
    passed_over: &mut PassedOver,
) -> Read {
    let (mut fields, mut columns) = (Fields::default(), Vec::<(Field, u64)>::new());
    for (name, value) in object {
        if is_of_members(name) {
            let said = format!("`{name}` is no field of an event: is this a list of members?");
            return (Err((Code::FieldInvalid, said)), columns);
        }
        let Some(field) = field_of(name) else {
            if let Some(meant) = nearly(name, dialect) {
                let said = format!("`{name}` is no field of an event: `{meant}` is");
                return (Err((Code::FieldInvalid, said)), columns);
            }
            passed_over.note(name);
            continue;
        };
        if columns.iter().any(|(known, _)| *known == field) {
            let said = format!("the object has the field `{field}` twice, in two spellings");
            return (Err((Code::RowMalformed, said)), columns);
        }
        match value {
            Value::Null => {}
            Value::String(text) => fields.set(field, text),
            Value::Bool(_) => fields.set(field, &value.to_string()),
            Value::Number(number) => {
                let Some(text) = number_of(field, number) else {
                    let said = format!(
                        "`{field}` holds a number that is rounded when it is read: write it in quotes"
                    );
                    return (Err((Code::FieldInvalid, said)), columns);
                };
                fields.set(field, &text);
            }
            Value::Object(_) if field.takes_objects() => fields.set(field, &value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                let said = format!("`{field}` holds a list or an object, and takes a single value");
                return (Err((Code::FieldInvalid, said)), columns);
            }
        }
        columns.push((field, place_of(text, name)));
    }
    (Ok(fields), columns)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Line, name and start of each row; or what is wrong.
    fn rows(name: &str, text: &str) -> Vec<(u64, Result<[String; 2], Code>)> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(name);
        std::fs::File::create(&path).expect("a file").write_all(text.as_bytes()).expect("written");
        let mut rows = Vec::new();
        let take = |row: EventRow| {
            let said = |fields: &Fields, field| fields.get(field).unwrap_or_default().to_owned();
            let read = row.read.map(|fields| [said(&fields, Field::Name), said(&fields, Field::StartAt)]);
            rows.push((row.line, read.map_err(|(code, _)| code)));
            ControlFlow::Continue(())
        };
        let options = ReadOptions { kind: crate::domain::state::Kind::Events, ..ReadOptions::default() };
        read_events(&path, &options, take).expect("read");
        rows
    }

    fn texts(name: &str, start: &str) -> [String; 2] {
        [name.to_owned(), start.to_owned()]
    }

    #[test]
    fn both_formats_say_the_same() {
        let csv = "start_at;name;note\n2026-12-03T18:00Z;\"Demo; night\";x\n\n;Other;\n1;2;3;4\n";
        let found = rows("a.csv", csv);
        assert_eq!(
            found,
            [
                (2, Ok(texts("Demo; night", "2026-12-03T18:00Z"))),
                (4, Ok(texts("Other", ""))),
                (5, Err(Code::RowRagged))
            ]
        );
        let jsonl = "{\"name\":\"Demo; night\",\"start_at\":\"2026-12-03T18:00Z\",\"note\":[1]}\n\n\
                     {\"name\":\"Other\",\"start_at\":null}\n{\"name\":[\"x\"]}\n{\"name\":\"x\",\"start\":\"y\"}\n{\"name\":\"x\",\"name\":\"y\"}\n{\"name\":\"x\",\"Name\":\"y\"}\n{\"name\":\"x\",\"client_key\":100000000000000000000001}\n{\"name\":\"x\",\"duration_minutes\":9e1}\n{\"name\":\"x\",\"email\":\"a@x.org\"}\nnot json\n";
        let found = rows("a.jsonl", jsonl);
        assert_eq!(
            found,
            [
                (1, Ok(texts("Demo; night", "2026-12-03T18:00Z"))),
                (3, Ok(texts("Other", ""))),
                (4, Err(Code::FieldInvalid)),
                (5, Err(Code::FieldInvalid)),
                (6, Err(Code::RowMalformed)),
                (7, Err(Code::RowMalformed)),
                (8, Err(Code::FieldInvalid)),
                (9, Ok(texts("x", ""))),
                (10, Err(Code::FieldInvalid)),
                (11, Err(Code::RowMalformed)),
            ]
        );
    }
}
