//! The stable outcome codes that users see in tables, files and pages.
//!
//! A code is a promise: it is added, never renamed. Knows nothing of where rows come from.

use std::fmt;

use super::state::RowState;

/// Why a row ended as it did. The text form is stored in the database and in result files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The row has no address.
    EmailMissing,
    /// The address cannot be one (RFC 5321 lengths, shape, domain).
    EmailInvalid,
    /// A tag is neither a name in `[tags]` nor a tag id.
    TagUnknown,
    /// The row has more or fewer columns than the header.
    RowRagged,
    /// Quotes are broken, so the row's columns cannot be told apart.
    RowMalformed,
    /// The row is not text in the file's encoding.
    EncodingInvalid,
    /// A cell or the row is longer than the reader takes.
    CellTooLong,
    /// The row asks for an account that is not configured.
    AccountUnknown,
    /// The guest declined or never answered: `approval_status` is not one that `folder.guests` takes.
    GuestExcluded,
    /// The person is on the list of those who are never sent.
    Suppressed,
    /// `approval_status` is none that Luma writes, so nobody knows whether the guest agreed.
    StatusUnknown,
    /// The event has no name.
    NameMissing,
    /// `start_at` is no moment, or one that does not exist or exists twice in its zone.
    StartInvalid,
    /// The event would begin in the past.
    StartInPast,
    /// The cover is not an https image on a host that Luma takes.
    CoverNotAllowed,
    /// A field of the event holds something that it cannot hold.
    FieldInvalid,
    /// Fields of the event contradict each other, or one needs another.
    FieldsConflict,
    /// The same person stands earlier in the same run; the same event is there already.
    Duplicate,
    /// The ledger shows that nothing is left to send.
    Unchanged,
    /// Luma refused this row.
    ApiRejected,
    /// Every attempt met a passing fault.
    AttemptsExhausted,
    /// A person canceled the run before the row was sent.
    Canceled,
    /// The request left, and no answer says whether the event exists.
    AnswerUnknown,
    /// Luma counts fewer people than the row's request held; which of them are absent, it does not say.
    CountShort,
    /// The person was looked for in the audience, and is not there.
    NotInAudience,
    /// The person is in the audience, without all tags of the row.
    TagsLacking,
}

impl Code {
    /// Every code, in the order of the documented table.
    pub const ALL: [Self; 26] = [
        Self::EmailMissing,
        Self::EmailInvalid,
        Self::TagUnknown,
        Self::RowRagged,
        Self::RowMalformed,
        Self::EncodingInvalid,
        Self::CellTooLong,
        Self::AccountUnknown,
        Self::GuestExcluded,
        Self::Suppressed,
        Self::StatusUnknown,
        Self::NameMissing,
        Self::StartInvalid,
        Self::StartInPast,
        Self::CoverNotAllowed,
        Self::FieldInvalid,
        Self::FieldsConflict,
        Self::Duplicate,
        Self::Unchanged,
        Self::ApiRejected,
        Self::AttemptsExhausted,
        Self::Canceled,
        Self::AnswerUnknown,
        Self::CountShort,
        Self::NotInAudience,
        Self::TagsLacking,
    ];

    /// The stable text of the code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmailMissing => "email_missing",
            Self::EmailInvalid => "email_invalid",
            Self::TagUnknown => "tag_unknown",
            Self::RowRagged => "row_ragged",
            Self::RowMalformed => "row_malformed",
            Self::EncodingInvalid => "encoding_invalid",
            Self::CellTooLong => "cell_too_long",
            Self::AccountUnknown => "account_unknown",
            Self::GuestExcluded => "guest_excluded",
            Self::Suppressed => "suppressed",
            Self::StatusUnknown => "status_unknown",
            Self::NameMissing => "name_missing",
            Self::StartInvalid => "start_invalid",
            Self::StartInPast => "start_in_past",
            Self::CoverNotAllowed => "cover_not_allowed",
            Self::FieldInvalid => "field_invalid",
            Self::FieldsConflict => "fields_conflict",
            Self::Duplicate => "duplicate",
            Self::Unchanged => "unchanged",
            Self::ApiRejected => "api_rejected",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Canceled => "canceled",
            Self::AnswerUnknown => "answer_unknown",
            Self::CountShort => "count_short",
            Self::NotInAudience => "not_in_audience",
            Self::TagsLacking => "tags_lacking",
        }
    }

    /// The state of a row that is not sent because of something the reader saw: a mistake in it, or a
    /// good reason to leave its person alone.
    #[must_use]
    pub const fn state_at_intake(self) -> RowState {
        match self {
            Self::GuestExcluded | Self::Suppressed => RowState::Suppressed,
            Self::EmailMissing
            | Self::EmailInvalid
            | Self::TagUnknown
            | Self::RowRagged
            | Self::RowMalformed
            | Self::EncodingInvalid
            | Self::CellTooLong
            | Self::AccountUnknown
            | Self::StatusUnknown
            | Self::NameMissing
            | Self::StartInvalid
            | Self::StartInPast
            | Self::CoverNotAllowed
            | Self::FieldInvalid
            | Self::FieldsConflict
            | Self::Duplicate
            | Self::Unchanged
            | Self::ApiRejected
            | Self::AttemptsExhausted
            | Self::Canceled
            | Self::AnswerUnknown
            | Self::CountShort
            | Self::NotInAudience
            | Self::TagsLacking => RowState::Invalid,
        }
    }

    /// Whether the cells of such a row cannot be told apart.
    #[must_use]
    pub const fn is_about_the_whole_row(self) -> bool {
        matches!(self, Self::RowRagged | Self::RowMalformed | Self::EncodingInvalid | Self::CellTooLong)
    }

    /// The code with this text, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_again_by_its_text() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
        assert_eq!(Code::parse("no_such_code"), None);
    }
}
