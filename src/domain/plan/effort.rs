//! How much work a search may still do: counted, because a plan must not depend on a clock.

/// Steps that are left, each about a nanosecond or a few.
#[derive(Clone, Debug)]
pub(super) struct Effort(u64);

impl Effort {
    pub(super) fn new(steps: u64) -> Self {
        Self(steps)
    }

    /// Takes steps away; `false`, and nothing left, where that is more than there are.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        let left = self.0.checked_sub(steps as u64);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}
