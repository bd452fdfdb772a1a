//! What happens when: a queue ordered by true time, then by order of entry.

use std::collections::BTreeMap;
use std::time::Duration;

/// Things to come.
#[derive(Debug)]
pub struct Agenda<T> {
    items: BTreeMap<(Duration, u64), T>,
    entered: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Agenda { items: BTreeMap::new(), entered: 0 }
    }
}

impl<T> Agenda<T> {
    /// Plans `item` for the true time `at`.
    pub fn plan(&mut self, at: Duration, item: T) {
        self.entered += 1;
        self.items.insert((at, self.entered), item);
    }

    /// When the next item is due.
    pub fn next(&self) -> Option<Duration> {
        self.items.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next item.
    pub fn take(&mut self) -> Option<(Duration, T)> {
        self.items.pop_first().map(|((at, _), item)| (at, item))
    }
}
