//! Who asks, as handlers see them; and forms, which only exist for whoever is signed in and sent them from
//! a page of this sign-in.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fault::Fault;
use super::session::Visit;
use super::site::Site;
use super::token::is_same;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Visitor {
    /// Nobody that is known; `may_sign_in` where there is a token.
    Stranger { may_sign_in: bool },
    /// Somebody at a browser.
    Person(Visit),
    /// A program that knows the token.
    Program,
}

impl Visitor {
    /// Whoever may see people's addresses, and change things.
    pub(super) fn trusted(&self) -> Result<(), Fault> {
        match self {
            Self::Person(_) | Self::Program => Ok(()),
            Self::Stranger { may_sign_in: true } => Err(Fault::SignIn),
            Self::Stranger { may_sign_in: false } => Err(Fault::NoToken),
        }
    }
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Fault> {
        // The guard has put it there; what has not come past it is nobody.
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Stranger { may_sign_in: false }))
    }
}

/// A form of somebody who is signed in, sent from a page that was made for them.
#[derive(Debug)]
pub(super) struct Act<T> {
    pub(super) visit: Visit,
    pub(super) form: T,
}

#[derive(Deserialize)]
struct Signed<T> {
    csrf: String,
    #[serde(flatten)]
    form: T,
}

impl<T: DeserializeOwned> FromRequest<Site> for Act<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Fault> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let visit = match visitor {
            Some(Visitor::Person(visit)) => visit,
            Some(other) => {
                other.trusted()?;
                return Err(Fault::SignIn);
            }
            None => return Err(Fault::SignIn),
        };
        let Signed { csrf, form } = form_of(request, site).await?;
        if !is_same(&csrf, &visit.csrf) {
            return Err(Fault::NotOurForm);
        }
        Ok(Self { visit, form })
    }
}

/// What a form says. Its body was capped on the way in.
pub(super) async fn form_of<T: DeserializeOwned>(request: Request, site: &Site) -> Result<T, Fault> {
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let body = Bytes::from_request(request, site).await.map_err(|_| Fault::TooLarge)?;
    let read = if is_form { fields(&body) } else { None };
    read.ok_or_else(|| Fault::Wrong("The form is not one that this page has.".to_owned()))
}

/// What stands behind the `?` of an address.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Site> for Asked<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Fault> {
        let query = parts.uri.query().unwrap_or_default();
        fields(query.as_bytes()).map(Self).ok_or_else(|| Fault::Wrong("There is no such page.".to_owned()))
    }
}

/// The number at the end of an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) i64);

impl FromRequestParts<Site> for Number {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Fault> {
        let path: Path<Vec<String>> =
            Path::from_request_parts(parts, site).await.map_err(|_| Fault::NotFound)?;
        let number = path.first().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        number.and_then(|text| text.parse().ok()).map(Self).ok_or(Fault::NotFound)
    }
}

/// Names and texts as forms and addresses bear them; an empty one is none.
fn fields<T: DeserializeOwned>(encoded: &[u8]) -> Option<T> {
    // A text with a NUL cannot be looked for in every database, and nobody types one.
    if url::form_urlencoded::parse(encoded).any(|(_, text)| text.contains('\0')) {
        return None;
    }
    let fields = url::form_urlencoded::parse(encoded)
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name.into_owned(), Value::String(text.into_owned())));
    serde_json::from_value(Value::Object(fields.collect())).ok()
}
