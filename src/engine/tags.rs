//! Which tags there are: the configuration's, and those that Luma lists where its dialect can.
//!
//! Luma is asked before an input is read, and again where a row names something that was none; nothing is sent
//! for a tag that is not known.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Engine, EngineError, Stop};
use crate::clock::Time;
use crate::domain::tag::{MOST_UNKNOWN, TagBook, TagId, TagSet, UnknownTag};
use crate::luma::TagList;

/// So long a list of tags is good enough where nothing is missing from it.
const KEPT: Duration = Duration::from_mins(5);
/// A list that is no older is not asked for again, whatever is missing from it.
const FRESH: Duration = Duration::from_secs(2);
/// Where Luma did not say, it is asked again after this, unless a row names what is not known.
const REFUSED: Duration = Duration::from_mins(1);
/// So many tags are made for one input at most: a column of something else is not made into tags.
const MOST_MADE: usize = 50;

/// The tags of an account, as far as they are known here.
#[derive(Debug)]
pub(super) struct Tags {
    known: Mutex<Known>,
    /// Names that would be made into tags, where nothing is to be made.
    imagined: Mutex<BTreeSet<String>>,
    /// Held by whoever asks, so that two do not make the same tag.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Known {
    book: Arc<TagBook>,
    listed_at: Option<Time>,
    /// When Luma last did not say.
    refused_at: Option<Time>,
}

impl Tags {
    pub(super) fn new(book: TagBook) -> Self {
        let known = Known { book: Arc::new(book), listed_at: None, refused_at: None };
        Self { known: Mutex::new(known), imagined: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn were_listed_within(&self, kept: Duration, now: Time) -> bool {
        is_within(self.known().listed_at, kept, now)
    }

    fn were_refused_within(&self, kept: Duration, now: Time) -> bool {
        is_within(self.known().refused_at, kept, now)
    }

    fn note_refusal(&self, now: Time) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).refused_at = Some(now);
    }

    /// Takes a name for a tag that would be made. Its id only has to differ from others: nothing is sent with it.
    fn imagine(&self, name: &str) {
        let mut imagined = self.imagined.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let id = TagId::parse(&format!("tag-to-be-made-{}", imagined.len()));
        if let Some(id) = id.filter(|_| imagined.insert(name.to_owned())) {
            known.book = Arc::new(known.book.with_another(name, id));
        }
    }

    /// Names that would be made into tags.
    pub(super) fn imagined(&self) -> Vec<String> {
        self.imagined.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn learn(&self, list: &TagList, now: Time) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tags = list.tags.iter().map(|tag| (tag.name.clone(), tag.id.clone()));
        let book = Arc::new(known.book.with_listed(tags, list.is_complete));
        *known = Known { book, listed_at: Some(now), refused_at: None };
    }
}

/// A clock that was ahead is forgiven: what it dated later than now is old.
fn is_within(at: Option<Time>, kept: Duration, now: Time) -> bool {
    at.is_some_and(|at| at <= now && now.since(at) < kept)
}

impl Engine {
    /// The tags that rows may name, as known now.
    pub(super) fn tag_book(&self) -> Arc<TagBook> {
        self.tags.known().book
    }

    /// Whether the tags are known that Luma has, where its dialect lists them.
    #[must_use]
    pub fn knows_tags(&self) -> bool {
        self.client.routes().tags.is_none() || self.tags.known().listed_at.is_some()
    }

    /// The tags of texts that hold for every row of an input, once Luma was asked for what is not known.
    pub async fn resolve_tags(&self, texts: &[String], stop: &Stop) -> Result<TagSet, EngineError> {
        if texts.is_empty() {
            return Ok(TagSet::default());
        }
        self.list_tags(stop).await?;
        self.find_tags(&texts.iter().map(|text| text.trim().to_owned()).collect(), stop).await?;
        let book = self.tag_book();
        texts.iter().map(|text| Ok(book.resolve(text)?)).collect()
    }

    /// Fails where Luma is known to lack one of these tags.
    pub(super) fn ensure_tags(&self, tags: &TagSet) -> Result<(), EngineError> {
        let book = self.tag_book();
        for id in tags.ids() {
            book.resolve(id.as_str())?;
        }
        Ok(())
    }

    /// Why a request with these tags would be in vain, if Luma is known to lack one of them: it might take the
    /// members and drop the tag without a word.
    pub(super) async fn lacks_tag(&self, tags: &TagSet, stop: &Stop) -> Option<UnknownTag> {
        if tags.is_empty() {
            return None;
        }
        // Whoever asks just now will know.
        drop(self.tags.asking.lock().await);
        if let Err(error) = self.list_tags(stop).await {
            tracing::debug!(%error, "the tags could not be listed");
        }
        let lacking = || {
            let book = self.tag_book();
            tags.ids().iter().find(|id| !book.may_exist(id)).cloned()
        };
        lacking()?;
        // It may have been made since.
        if let Err(error) = self.list_tags_anew(FRESH, stop).await {
            tracing::debug!(%error, "the tags could not be listed anew");
        }
        lacking().map(|id| UnknownTag::Unlisted { name: id.to_string(), id })
    }

    /// Asks for the tags before an input is read. Where Luma does not say at once, the input is read with
    /// what is known: whether that is enough shows then.
    pub(super) async fn list_tags(&self, stop: &Stop) -> Result<(), EngineError> {
        let Some(route) = self.client.routes().tags else { return Ok(()) };
        // Whoever asks already may have to wait for Luma: nobody else's rows wait with it.
        let Ok(_asking) = self.tags.asking.try_lock() else { return Ok(()) };
        let now = self.clock.now();
        if self.tags.were_listed_within(KEPT, now) || self.tags.were_refused_within(REFUSED, now) {
            return Ok(());
        }
        let Ok(place) = self.place(route, self.settings.allowance).await? else { return Ok(()) };
        let answer = self.ask_at(place, self.client.tags(), stop).await?;
        match &answer {
            Ok((list, _)) => self.tags.learn(list, self.clock.now()),
            Err(reply) => {
                tracing::debug!(status = reply.status, "the tags are not known yet");
                self.tags.note_refusal(self.clock.now());
            }
        }
        Ok(())
    }

    /// Finds tags for texts that were none, or makes them where that is wished. Whether there is one for
    /// any of them now: an input is read again then. Fails where Luma could not be asked.
    pub(super) async fn find_tags(
        &self,
        unknown: &BTreeSet<String>,
        stop: &Stop,
    ) -> Result<bool, EngineError> {
        let is_found = |text: &String| self.tag_book().resolve(text).is_ok();
        if unknown.is_empty() || self.client.routes().tags.is_none() {
            return Ok(false);
        }
        // Who only looks has asked once, and makes do with that.
        if !self.only_looks {
            self.list_tags_anew(FRESH, stop).await?;
        }
        if self.settings.create_missing_tags {
            self.make_tags(unknown, stop).await?;
        }
        Ok(unknown.iter().any(is_found))
    }

    async fn list_tags_anew(&self, kept: Duration, stop: &Stop) -> Result<(), EngineError> {
        let Some(route) = self.client.routes().tags else { return Ok(()) };
        let _asking = self.tags.asking.lock().await;
        if self.tags.were_listed_within(kept, self.clock.now()) {
            return Ok(());
        }
        match self.ask_patiently(route, || self.client.tags(), stop).await? {
            Ok((list, _)) => self.tags.learn(&list, self.clock.now()),
            Err(reply) => {
                let status = reply.status;
                tracing::warn!(status, "this server does not list its tags; ids and `[tags]` are believed");
            }
        }
        Ok(())
    }

    async fn make_tags(&self, unknown: &BTreeSet<String>, stop: &Stop) -> Result<(), EngineError> {
        let missing = |text: &&String| {
            let unknown = self.tag_book().resolve(text).err();
            unknown.is_some_and(|unknown| unknown.missing().is_some())
        };
        let names: Vec<&String> = unknown.iter().filter(missing).collect();
        if !names.is_empty() && !self.tag_book().is_whole() {
            tracing::error!(
                hint = "write the ids of tags that exist into `[tags]`, and make others by hand at Luma",
                "no tag is made while Luma does not list all that there are: one might be made twice"
            );
            return Ok(());
        }
        if names.len() > MOST_MADE || unknown.len() >= MOST_UNKNOWN {
            tracing::error!(
                names = names.len(),
                most = MOST_MADE,
                hint = "see that the column holds tags; make so many by hand at Luma",
                "more tags are missing than are made for one input"
            );
            return Ok(());
        }
        for name in names {
            // Another spelling of it may have been made meanwhile.
            if !missing(&name) {
                continue;
            }
            if self.only_looks {
                self.tags.imagine(name);
            } else {
                self.make_tag(name, stop).await?;
            }
        }
        Ok(())
    }

    /// Makes a tag, and looks: asked for twice it might be there twice.
    async fn make_tag(&self, name: &str, stop: &Stop) -> Result<(), EngineError> {
        let Some(route) = self.client.routes().create_tag else { return Ok(()) };
        {
            let _asking = self.tags.asking.lock().await;
            match self.ask(route, self.client.create_tag(name), stop).await? {
                Ok((id, _)) => tracing::info!(tag = %id, "made a tag that rows name"),
                Err(reply) => {
                    tracing::warn!(status = reply.status, "a tag that rows name could not be made");
                    tracing::debug!(said = reply.verdict.detail(), "why it could not");
                }
            }
        }
        self.list_tags_anew(Duration::ZERO, stop).await
    }
}
