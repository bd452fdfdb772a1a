//! Who decides what happens next: a seed, or a search that tries everything.

/// Decides between a number of possibilities.
pub(crate) enum Chooser {
    /// By a seed (splitmix64).
    Random(u64),
    /// Every sequence of choices once, in order: choices taken, and how many there were at each.
    Search { path: Vec<(usize, usize)>, at: usize },
}

impl Chooser {
    /// One of `0..of`.
    pub(crate) fn pick(&mut self, of: usize) -> usize {
        assert!(of > 0, "a choice of nothing");
        match self {
            Chooser::Random(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut bits = *state;
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                usize::try_from((bits ^ (bits >> 31)) % of as u64).expect("below a usize")
            }
            Chooser::Search { path, at } => {
                if *at == path.len() {
                    path.push((0, of));
                }
                let (taken, known) = path[*at];
                assert_eq!(known, of, "the same choices lead to the same state");
                *at += 1;
                taken
            }
        }
    }

    /// True once in `odds`; a search tries both.
    pub(crate) fn once_in(&mut self, odds: usize) -> bool {
        match self {
            Chooser::Random(_) => self.pick(odds) == 0,
            Chooser::Search { .. } => self.pick(2) == 1,
        }
    }

    pub(crate) fn is_search(&self) -> bool {
        matches!(self, Chooser::Search { .. })
    }

    /// The next sequence of a search; false when all have been tried.
    pub(crate) fn advance(&mut self) -> bool {
        let Chooser::Search { path, at } = self else { return false };
        *at = 0;
        while let Some((taken, of)) = path.pop() {
            if taken + 1 < of {
                path.push((taken + 1, of));
                return true;
            }
        }
        false
    }
}
