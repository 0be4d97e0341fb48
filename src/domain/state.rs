//! The states of rows, batches and runs, and their stored spelling.
//!
//! The spelling is said here; the store repeats it in CHECKs, and which state may follow on which in the
//! guards of its writes.

macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value with this stored text, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use text_enum;

text_enum! {
    /// What a run's rows are.
    Kind {
        /// People for the audience.
        Members = "members",
        /// Events to be created.
        Events = "events",
    }
}

text_enum! {
    /// Where one row stands. `InFlight` is entered by a claim and left by its settle alone.
    RowState {
        /// Inserted by another program, not yet read by us.
        New = "new",
        /// Valid and waiting for a request.
        Pending = "pending",
        /// In a request that has left or is about to.
        InFlight = "in_flight",
        /// Luma accepted a request that held this row and its tags.
        Delivered = "delivered",
        /// Delivered, and found in the audience afterwards.
        Verified = "verified",
        /// Delivered, and not found in the audience afterwards; `retry` brings it back.
        Missing = "missing",
        /// Luma refused this row.
        Rejected = "rejected",
        /// Every attempt met a passing fault; `retry` brings it back.
        Failed = "failed",
        /// We refused the row at intake.
        Invalid = "invalid",
        /// The same person stands earlier in the same run.
        Duplicate = "duplicate",
        /// The ledger shows that nothing is left to send.
        Unchanged = "unchanged",
        /// Left alone for a good reason: a guest who declined or never answered, somebody who is never sent.
        Suppressed = "suppressed",
        /// Waits for approval.
        Held = "held",
        /// Dropped by a person with its run.
        Canceled = "canceled",
    }
}

text_enum! {
    /// Where one run stands.
    RunStatus {
        /// Known, not begun.
        Queued = "queued",
        /// Rows are being read or sent.
        Running = "running",
        /// Every row is delivered, verified, unchanged or a duplicate.
        Succeeded = "succeeded",
        /// Finished, but some rows are invalid, rejected, failed or missing, or could not be verified.
        Partial = "partial",
        /// Stopped for a reason that is not about single rows.
        Failed = "failed",
        /// Waits for approval.
        Held = "held",
        /// Dropped by a person.
        Canceled = "canceled",
    }
}

text_enum! {
    /// What set a run off.
    Trigger {
        /// A person at the command line.
        Manual = "manual",
        /// A file in the drop folder.
        Folder = "folder",
        /// Rows that other programs inserted.
        Queue = "queue",
        /// A schedule fired.
        Schedule = "schedule",
    }
}
