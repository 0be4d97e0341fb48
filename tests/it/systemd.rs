//! What the service tells systemd, heard at the socket that systemd would listen on.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{Bench, PATIENCE, wait_until};

/// All that was said so far, line by line.
fn hear(socket: &UnixDatagram, heard: &mut Vec<String>) {
    let mut bytes = [0; 1_024];
    while let Ok(length) = socket.recv(&mut bytes) {
        let said = String::from_utf8_lossy(&bytes[..length]);
        heard.extend(said.lines().map(str::to_owned));
    }
}

#[test]
fn systemd_hears_that_the_service_is_ready_lives_and_ends() {
    let bench = Bench::new("", "");
    let place = bench.scratch.path("notify.sock");
    let socket = UnixDatagram::bind(&place).expect("a socket");
    socket.set_nonblocking(true).expect("set");
    let service = bench.lumasync(["run"]).env("NOTIFY_SOCKET", &place).env("WATCHDOG_USEC", "300000").spawn();
    let mut heard = Vec::new();
    let mut wait_for = |what: &str, enough: usize| {
        wait_until(PATIENCE, what, || {
            hear(&socket, &mut heard);
            heard.iter().filter(|line| *line == what).count() >= enough
        });
    };
    wait_for("READY=1", 1);
    wait_for("WATCHDOG=1", 3);
    service.terminate();
    wait_for("STOPPING=1", 1);
    service.wait().with_code(143);
    let ready = heard.iter().position(|line| line == "READY=1");
    let alive = heard.iter().position(|line| line == "WATCHDOG=1");
    assert!(ready < alive, "{heard:?}");
}

#[test]
fn who_cannot_begin_is_never_ready() {
    let bench = Bench::new("", "database.url = \"sqlite:///dev/null/not.db\"");
    let place = bench.scratch.path("notify.sock");
    let socket = UnixDatagram::bind(&place).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("set");
    bench.lumasync(["run"]).env("NOTIFY_SOCKET", &place).run();
    let mut heard = Vec::new();
    hear(&socket, &mut heard);
    assert!(heard.is_empty(), "{heard:?}");
}
