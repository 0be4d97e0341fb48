//! The pages of the real service: who may come, what is shown, what can be done.

mod api;
mod approve;
mod browser;
mod danger;
mod doubt;
mod driver;
mod everybody;
mod numbers;
mod pages;
mod person;
mod pictures;
mod schema;
mod site;
mod story;
mod upload;
mod upload_api;
mod upload_danger;
mod well;
