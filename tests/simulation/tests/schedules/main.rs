//! Schedules with names, and ten thousand without.

mod field_report;
mod random;
mod sessions;
mod setting;
