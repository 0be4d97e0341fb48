//! An event as the beta of 2021 takes it: registration, Zoom, a community. Only a name is needed.

use super::parse::{Problem, Reading, invalid};
use super::{EventRules, Field, Zoom};
use crate::clock::Time;
use crate::domain::code::Code;

/// An event for the beta.
#[derive(Clone, Debug)]
pub struct BetaEvent {
    name: String,
    start_at: Option<Time>,
    cover_url: Option<String>,
    duration_minutes: Option<u32>,
    rsvp: Rsvp,
    zoom: Option<Zoom>,
    community_api_id: Option<String>,
}

/// Whether guests must register; approval without registration cannot be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rsvp {
    required: Option<bool>,
    approval: Option<bool>,
}

impl Rsvp {
    fn new(required: Option<bool>, approval: Option<bool>) -> Option<Self> {
        (approval != Some(true) || required == Some(true)).then_some(Self { required, approval })
    }
}

impl BetaEvent {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it begins.
    #[must_use]
    pub const fn start_at(&self) -> Option<Time> {
        self.start_at
    }

    /// Its picture.
    #[must_use]
    pub fn cover_url(&self) -> Option<&str> {
        self.cover_url.as_deref()
    }

    /// How long it is.
    #[must_use]
    pub const fn duration_minutes(&self) -> Option<u32> {
        self.duration_minutes
    }

    /// Whether guests must register.
    #[must_use]
    pub const fn require_rsvp(&self) -> Option<bool> {
        self.rsvp.required
    }

    /// Whether the host must approve guests.
    #[must_use]
    pub const fn require_rsvp_approval(&self) -> Option<bool> {
        self.rsvp.approval
    }

    /// Where it meets on Zoom.
    #[must_use]
    pub const fn zoom(&self) -> Option<&Zoom> {
        self.zoom.as_ref()
    }

    /// The community it is linked to.
    #[must_use]
    pub fn community_api_id(&self) -> Option<&str> {
        self.community_api_id.as_deref()
    }

    /// What the fields say; to be believed where no problem was found.
    pub(super) fn read(reading: &mut Reading<'_>, rules: &EventRules, now: Time) -> Self {
        Self {
            name: reading.name(),
            start_at: reading.start_at(rules, now),
            cover_url: reading.text(Field::CoverUrl, |text| super::parse::cover(text, &rules.cover_hosts)),
            duration_minutes: reading.text(Field::DurationMinutes, super::parse::minutes),
            rsvp: reading.rsvp(),
            zoom: Zoom::read(reading),
            community_api_id: reading.text(Field::CommunityApiId, api_id),
        }
    }
}

impl Reading<'_> {
    fn start_at(&mut self, rules: &EventRules, now: Time) -> Option<Time> {
        let zone = self.zone(rules);
        if self.fields.get(Field::StartAt).is_none() && zone.is_named() {
            self.problems.push(Problem::conflict(Field::Timezone, "says nothing without `start_at`"));
        }
        self.start(&zone, rules, now)
    }

    fn rsvp(&mut self) -> Rsvp {
        let required = self.answer(Field::RequireRsvp);
        let approval = self.answer(Field::RequireRsvpApproval);
        // Where one of the two is no answer at all, that is problem enough.
        let is_read = |field, value: Option<bool>| value.is_some() || self.fields.get(field).is_none();
        if !is_read(Field::RequireRsvp, required) {
            return Rsvp::default();
        }
        Rsvp::new(required, approval).unwrap_or_else(|| {
            let why = "is true, which needs `require_rsvp` to be true as well";
            self.problems.push(Problem::conflict(Field::RequireRsvpApproval, why));
            Rsvp::default()
        })
    }
}

fn api_id(text: &str) -> Result<String, (Code, String)> {
    let is_id = text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_id { Ok(text.to_owned()) } else { Err(invalid("is no id of Luma's".to_owned())) }
}
