//! A look at the audience: page by page or person by person, twice with a pause, then whoever is left is missing.

use std::collections::HashMap;

use super::ask::Untold;
use super::{Proving, Step};
use crate::domain::email::{Address, key_hash};
use crate::domain::proof::{LOOKS, ProofDue, Walk, Way, pages_of, way};
use crate::domain::tag::TagSet;
use crate::engine::{EngineError, Progress};
use crate::luma::{ContactPage, Listed};
use crate::store::{Found, Look, PageFound, SoughtRow};

/// Rows that are called missing at a time.
const MISSING: u32 = 1_000;
/// Pages that a search for one address may have: where it has more, it does not search.
const MOST_PAGES: u32 = 5;

/// The tags of people by their normalised addresses.
type Seen = HashMap<String, TagSet>;

impl Proving<'_> {
    pub(super) async fn go_on_looking(&mut self, look: Look) -> Result<Step, EngineError> {
        let (engine, store) = (self.engine, &self.engine.store);
        if store.end_looks(self.prover).await? {
            tracing::info!(account = self.prover.account, "everybody who was looked for is accounted for");
            return Ok(Step::Went);
        }
        if look.number > LOOKS {
            let rows = store.call_missing(self.prover, MISSING, engine.clock.now()).await?;
            Progress::add(&engine.progress.settled, rows);
            tracing::warn!(rows, "delivered, and not in the audience as they should be");
            return Ok(Step::Went);
        }
        match look.way {
            None if engine.clock.now() < look.begins_at => {
                Ok(Step::Wait(look.begins_at, "a second look at the audience"))
            }
            None => self.choose(&look).await,
            // Only the last page of a list leaves nothing to go on from.
            Some(Way::Listing) if look.pages > 0 && look.cursor.is_none() => self.end_look(&look).await,
            Some(Way::Listing) => self.page(&look).await,
            Some(Way::Singles) => self.single(&look).await,
        }
    }

    /// Decides by cost how the people are looked for.
    async fn choose(&mut self, look: &Look) -> Result<Step, EngineError> {
        let (store, account) = (&self.engine.store, &self.prover.account);
        let people = store.sought_rows(account).await?;
        let known = store.account(account).await?.map_or(0, |account| account.members);
        let pages = store.last_pages(account).await?.unwrap_or_default().max(pages_of(known));
        let way = way(people, pages);
        store.choose_way(self.prover, way).await?;
        self.walk = Walk::default();
        let requests = people.min(pages);
        tracing::info!(look = look.number, people, %way, requests, "looking for people in the audience");
        Ok(Step::Went)
    }

    /// The next look begins after a pause; after the last one there is none.
    async fn end_look(&self, look: &Look) -> Result<Step, EngineError> {
        let (number, now) = (look.number + 1, self.engine.clock.now());
        let begins_at = if number > LOOKS { now } else { now.plus(self.engine.settings.second_look) };
        self.engine.store.begin_look(self.prover, number, begins_at).await?;
        Ok(Step::Went)
    }

    /// One page of everybody.
    async fn page(&mut self, look: &Look) -> Result<Step, EngineError> {
        let from = look.cursor.as_deref();
        let Some(ContactPage { contacts, next }) = self.ask_page(None, from).await? else {
            return Ok(Step::Went);
        };
        if let Some(next) = &next
            && let Err(why) = self.walk.go_on(from, next, contacts.is_empty())
        {
            self.give_up(ProofDue::Sought, why).await?;
            return Ok(Step::Went);
        }
        if from.is_none() && next.is_none() && contacts.is_empty() {
            self.give_up(ProofDue::Sought, "Luma shows an empty audience").await?;
            return Ok(Step::Went);
        }
        self.write(from, next.as_deref(), seen(&contacts)).await
    }

    /// One person, by the address.
    async fn single(&mut self, look: &Look) -> Result<Step, EngineError> {
        let from = look.cursor.as_deref();
        let after = from.and_then(|row| row.parse().ok()).unwrap_or_default();
        let account = &self.prover.account;
        let Some(row) = self.engine.store.next_sought(account, after).await? else {
            return self.end_look(look).await;
        };
        let next = row.row_id.to_string();
        let Some(key) = &row.email_key else {
            // Somebody deleted the row: there is nobody to look for.
            let gone = [found(&row, TagSet::default())];
            return self.settle(&PageFound { from, next: Some(&next), found: &gone }).await;
        };
        let (mut walk, mut cursor) = (Walk::default(), None::<String>);
        let mut seen_now = Seen::new();
        for pages in 1.. {
            let Some(page) = self.ask_page(Some(key), cursor.as_deref()).await? else {
                return Ok(Step::Went);
            };
            seen_now.extend(seen(&page.contacts).into_iter().filter(|(seen, _)| seen == key));
            // Others may have the address in their names.
            let Some(more) = page.next.filter(|_| seen_now.is_empty()) else { break };
            if pages == MOST_PAGES {
                self.give_up(ProofDue::Sought, "Luma's search for an address shows everybody").await?;
                return Ok(Step::Went);
            }
            if let Err(why) = walk.go_on(cursor.as_deref(), &more, page.contacts.is_empty()) {
                self.give_up(ProofDue::Sought, why).await?;
                return Ok(Step::Went);
            }
            cursor = Some(more);
        }
        self.write(from, Some(&next), seen_now).await
    }

    /// A page of the audience; nothing where it is asked for once more, or the look was given up.
    async fn ask_page(
        &mut self,
        search: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Option<ContactPage>, EngineError> {
        let client = self.engine.client.clone();
        let Some(route) = client.routes().contacts else {
            self.give_up(ProofDue::Sought, "this dialect of Luma's API does not list the audience").await?;
            return Ok(None);
        };
        match self.ask(route, 0, client.contacts(search, cursor)).await? {
            Ok(page) => Ok(Some(page)),
            Err(Untold::Later) => Ok(None),
            Err(Untold::Never { why, .. }) => {
                self.give_up(ProofDue::Sought, &format!("Luma does not list the audience: {why}")).await?;
                Ok(None)
            }
        }
    }

    /// Holds who was seen against who is sought, and writes it down.
    async fn write(
        &mut self,
        from: Option<&str>,
        next: Option<&str>,
        seen: Seen,
    ) -> Result<Step, EngineError> {
        let hashes: Vec<i64> = seen.keys().map(|key| key_hash(key)).collect();
        let rows = self.engine.store.sought_among(&self.prover.account, &hashes).await?;
        if rows.iter().any(|row| !self.tag_sets.contains_key(&row.tag_set_id)) {
            self.tag_sets = self.engine.store.tag_sets().await?;
        }
        let wanted = |row: &SoughtRow| self.tag_sets.get(&row.tag_set_id);
        let judge = |row: &SoughtRow| {
            let held = seen.get(row.email_key.as_deref()?)?;
            Some(found(row, wanted(row)?.without(held)))
        };
        let found: Vec<Found> = rows.iter().filter_map(judge).collect();
        self.settle(&PageFound { from, next, found: &found }).await
    }

    async fn settle(&mut self, page: &PageFound<'_>) -> Result<Step, EngineError> {
        // Only what is written down is got over with: a good answer before a bad one is asked for again.
        self.tries = 0;
        let verified = self.engine.store.settle_page(self.prover, page, self.engine.clock.now()).await?;
        Progress::add(&self.engine.progress.settled, verified);
        Ok(Step::Went)
    }
}

fn found(row: &SoughtRow, lacking: TagSet) -> Found {
    Found { row_id: row.row_id, batch_id: row.batch_id, lacking }
}

fn seen(contacts: &[Listed]) -> Seen {
    // Whoever has an address that none of ours can be is not sought.
    let person = |contact: &Listed| {
        let address = Address::parse(&contact.email).ok()?;
        Some((address.key().to_owned(), contact.tags.iter().cloned().collect()))
    };
    contacts.iter().filter_map(person).collect()
}
