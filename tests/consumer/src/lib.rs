//! A program of a user: what the documents of version 0.1 show, and what a Rust engineer expects, through the public API alone.
#![cfg(test)]
#![allow(clippy::field_reassign_with_default, reason = "programs of users are written like this too")]

mod commands;
mod configuration;
mod events;
mod growth;
mod lifetimes;
mod names;
mod quick_start;
mod records;
mod results;
