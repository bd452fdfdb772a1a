//! Schedules with names, and ten thousand without.

mod clocks;
mod field_report;
mod knee;
mod random;
mod sessions;
mod setting;
mod uploads;
