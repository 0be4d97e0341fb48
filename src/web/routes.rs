//! Every address there is, and what answers it.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::assets::asset;
use super::guard::{admit, dress, nowhere};
use super::site::Site;
use super::{
    api, download, events, health, live, metrics, overview, people, run, run_acts, runs, schedules, sign_in,
    upload,
};

/// All of them. Health stands outside of the guard: who asks knows no name of ours and no token.
pub(super) fn routes(site: Site) -> Router {
    let guarded = Router::new()
        .route("/", get(overview::page))
        .route("/metrics", get(metrics::page))
        .route("/live", get(live::listen))
        .route("/runs", get(runs::page).post(runs::search))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/approve", post(run_acts::approve))
        .route("/runs/{id}/retry", post(run_acts::retry))
        .route("/runs/{id}/cancel", post(run_acts::cancel))
        .route("/runs/{id}/{file}", get(download::result_file))
        .route("/people", get(people::page).post(people::search))
        .route("/people/{word}", get(people::result))
        .route("/events", get(events::page))
        .route("/events/{id}", get(events::story))
        .route("/events/{id}/resolve", post(events::resolve))
        .route("/schedules", get(schedules::page).post(schedules::change))
        .route(upload::UPLOAD, get(upload::form).post(upload::receive))
        .route("/upload/{word}", get(upload::page))
        .route("/upload/{word}/send", post(upload::send))
        .route("/upload/{word}/discard", post(upload::discard))
        .route(sign_in::SIGN_IN, get(sign_in::form).post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/static/{name}", get(asset))
        .merge(api::routes())
        .fallback(nowhere)
        .layer(from_fn_with_state(site.clone(), admit));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(guarded)
        .layer(from_fn(dress))
        .with_state(site)
}
