//! The pages of the real service: who may come, what is shown, what can be done.

mod danger;
mod doubt;
mod pages;
mod site;
