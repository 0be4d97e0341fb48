//! The generations of Luma's API. Which fields an event may have depends on it, and the routes; nothing
//! else in lumasync does.

use super::state::text_enum;

text_enum! {
    /// A generation of Luma's API, as the configuration calls it.
    #[derive(Default)]
    Dialect {
        /// The three routes of the first public beta.
        #[default]
        Beta2021 = "beta-2021",
        /// The API of today.
        V1 = "v1",
    }
}

impl Dialect {
    /// Where Luma serves it.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Beta2021 => "https://api.lu.ma",
            Self::V1 => "https://public-api.luma.com",
        }
    }
}
