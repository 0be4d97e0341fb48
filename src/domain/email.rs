//! Parsing of addresses.
