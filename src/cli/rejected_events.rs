//! Bad events that no file holds, by what is on record of them: as a file that can be mended and dropped
//! in. What lets people into a meeting is not told; the reader refuses the marks that stand for it.

use std::io::{self, Write as _};

use serde_json::json;

use super::args::RejectsFormat;
use super::events::json_of;
use super::out;
use super::rejects::NOTHING;
use crate::domain::event::{Field, HIDDEN};
use crate::ingest::neutralise;
use crate::store::{EventFilter, EventStory, Run, Store};

/// Events read from the database at a time.
const PAGE: u32 = 500;

/// Writes the bad events of a run to stdout, page by page.
pub(super) async fn write(store: &Store, run: &Run, format: RejectsFormat) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let filter = EventFilter {
            state: None,
            run: Some(run.id),
            bad_only: true,
            account: None,
            after,
            limit: PAGE,
            newest_first: false,
        };
        let page = store.events(&filter).await?;
        let is_first = after == 0;
        let Some(last) = page.last() else {
            if is_first {
                out::talk(NOTHING);
            }
            return Ok(());
        };
        after = last.id;
        let mut stories = Vec::with_capacity(page.len());
        for event in &page {
            stories.extend(store.event_story(event.id).await?);
        }
        match format {
            RejectsFormat::Csv => write_csv(&stories, is_first)?,
            RejectsFormat::Jsonl => write_jsonl(&stories)?,
        }
    }
}

fn write_csv(stories: &[EventStory], with_header: bool) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(io::stdout().lock());
    if with_header {
        let names = Field::ALL.iter().map(|field| field.as_str());
        csv.write_record(names.chain(["_row", "_code", "_reason"]))?;
    }
    for story in stories {
        let (row, known) = (&story.row, story.fields());
        let value = |field: &Field| match field {
            Field::Name => row.name.clone(),
            Field::ZoomMeetingPassword if may_have_had_one(story) => HIDDEN.to_owned(),
            field => {
                let found = known.iter().find(|(name, _)| *name == field.as_str());
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            }
        };
        let ours = [
            row.line.unwrap_or(row.id).to_string(),
            row.code.clone().unwrap_or_default(),
            row.reason.clone().unwrap_or_default(),
        ];
        let cells = Field::ALL.iter().map(value).chain(ours);
        csv.write_record(cells.map(|cell| neutralise(&cell).into_owned()))?;
    }
    csv.flush()?;
    Ok(())
}

/// A password is taken out of the database with the row's end. Whether there was one is known no more,
/// and a meeting must not come back without it unnoticed.
fn may_have_had_one(story: &EventStory) -> bool {
    let record = &story.record;
    let names_it = |reason: &String| reason.contains(Field::ZoomMeetingPassword.as_str());
    record.has_password
        || record.zoom_meeting_id.is_some()
        || record.zoom_meeting_url.is_some()
        || story.row.reason.as_ref().is_some_and(names_it)
}

fn write_jsonl(stories: &[EventStory]) -> anyhow::Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    for story in stories {
        let mut line = json_of(&story.row);
        for (name, value) in story.fields() {
            line[name] = json!(value);
        }
        if may_have_had_one(story) {
            line[Field::ZoomMeetingPassword.as_str()] = json!(HIDDEN);
        }
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()?;
    Ok(())
}
