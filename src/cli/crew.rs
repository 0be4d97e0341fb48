//! The processes that work on the database, as `status` shows them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::words::{moment, span};
use crate::clock::Time;
use crate::engine::is_here;
use crate::store::Worker;

/// Every worker that has not ended, and until when its last heartbeat counts.
pub(super) struct Crew {
    workers: Vec<Worker>,
    now: Time,
}

impl Crew {
    pub(super) const fn new(workers: Vec<Worker>, now: Time) -> Self {
        Self { workers, now }
    }

    pub(super) fn alive(&self) -> usize {
        self.workers.iter().filter(|worker| self.is_alive(worker)).count()
    }

    fn is_alive(&self, worker: &Worker) -> bool {
        worker.lease_until > self.now
    }

    pub(super) fn text(&self, text: &mut String) {
        let _ = writeln!(text, "workers   {} alive", self.alive());
        for worker in &self.workers {
            let (standing, heartbeat) = if self.is_alive(worker) {
                ("alive", format!("good for {}", span(worker.lease_until.since(self.now))))
            } else {
                ("silent", format!("overdue for {}", span(self.now.since(worker.lease_until))))
            };
            let (number, began) = (worker.id, moment(worker.started_at));
            let place = place(worker);
            let _ =
                writeln!(text, "worker {number:<2} {standing:<10} {began}  {place}, heartbeat {heartbeat}");
        }
    }

    pub(super) fn json(&self) -> Value {
        let worker = |worker: &Worker| {
            json!({
                "worker": worker.id, "alive": self.is_alive(worker), "host": worker.identity.host,
                "pid": worker.identity.pid, "started_at": worker.started_at.to_string(),
                "lease_until": worker.lease_until.to_string(),
            })
        };
        self.workers.iter().map(worker).collect()
    }
}

/// Which process it is, and where: machines are told apart by how they began, in
/// `/proc/sys/kernel/random/boot_id`.
fn place(worker: &Worker) -> String {
    let pid = worker.identity.pid;
    if is_here(&worker.identity) {
        return format!("process {pid} here");
    }
    let boot: String = worker.identity.host.chars().take_while(char::is_ascii_alphanumeric).collect();
    format!("process {pid} on a machine with boot id {boot}")
}
