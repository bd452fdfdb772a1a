//! Schedules with names, and ten thousand without.

mod clocks;
mod field_report;
mod random;
mod scale;
mod sessions;
mod setting;
mod uploads;
