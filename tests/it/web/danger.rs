//! Whoever means no good: without token, under a foreign name, from a foreign page, too large, too slow.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::site::{Answer, PAGES, Site, TOKEN};
use crate::support::{Bench, wait_until};

fn bench() -> Bench {
    Bench::new("", PAGES)
}

#[test]
fn foreign_hosts_and_odd_ones_are_refused_and_names_of_ours_are_not() {
    let bench = bench();
    let site = Site::start(&bench);
    let port = site.address.port();
    for host in [format!("localhost:{port}"), "localhost".to_owned(), format!("127.0.0.1:{port}")] {
        site.ask("GET", "/", &[&format!("Host: {host}")], "").with_status(200);
    }
    for host in
        ["evil.example", "localhost.evil.example", "192.168.0.1", "[::1]", "localhost@evil.example", ""]
    {
        site.ask("GET", "/", &[&format!("Host: {host}")], "").with_status(421);
    }
    let two = "Host: localhost\r\nHost: localhost";
    site.ask("GET", "/", &[two], "").with_status(421);
    let none = site.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(none.status >= 400, "{none:?}");
    let absolute =
        site.send(b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(absolute.status, 421, "{absolute:?}");
    // Whoever routes and restarts knows no names.
    site.ask("GET", "/readyz", &["Host: evil.example"], "").with_status(200);
    site.goes_on();
}

#[test]
fn nothing_is_changed_without_a_session_its_form_and_a_page_of_ours() {
    let bench = bench();
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    bench.sync(["list.csv"]).run().with_code(0);
    let site = Site::start(&bench);
    let path = "/runs/1/cancel";
    site.post(path, &[], "csrf=x").with_status(401);
    site.post(path, &["Cookie: lumasync=x"], "csrf=x").with_status(401);
    let cookie = site.sign_in();
    let own = site.csrf("/", &cookie);
    let form = format!("csrf={own}");
    site.post(path, &[&cookie], "csrf=x").with_status(403);
    site.post(path, &[&cookie], "").with_status(422);
    let other = site.sign_in();
    let foreign = format!("csrf={}", site.csrf("/", &other));
    site.post(path, &[&cookie], &foreign).with_status(403);
    for line in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        site.post(path, &[&cookie, line], &form).with_status(403);
    }
    // A form that claims to be something else.
    site.ask("POST", path, &[&cookie, "Content-Type: text/plain"], &form).with_status(422);
    let origin = format!("Origin: http://{}", site.address);
    let answer = site.post(path, &[&cookie, &origin, "Sec-Fetch-Site: same-origin"], &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/runs/1")), "{answer:?}");
    site.post("/sign-out", &[&cookie], &form).with_status(303);
    site.post(path, &[&cookie], &form).with_status(401);
    site.goes_on();
}

#[test]
fn pages_that_others_can_reach_need_the_token_and_health_does_not() {
    let bench = Bench::new("", &format!("{PAGES}\nweb.hosts = [\"sync.example.org\"]"));
    let site = Site::start(&bench);
    let named = "Host: sync.example.org";
    let answer = site.ask("GET", "/runs?status=failed", &[named], "");
    assert_eq!(answer.header("location"), Some("/sign-in?to=%2Fruns%3Fstatus%3Dfailed"), "{answer:?}");
    for path in ["/", "/runs", "/runs/1", "/live", "/no/such"] {
        assert_eq!(site.get(path).status, 303, "{path}");
    }
    assert_eq!(site.get("/runs/1/rejects").status, 303);
    site.get("/sign-in").with_status(200);
    site.get("/healthz").with_status(200);
    site.get("/readyz").with_status(200);
    let cookie = site.sign_in();
    assert!(site.ask("GET", "/", &[&cookie, named], "").with_status(200).text.contains("All is well"));
    site.ask("GET", "/", &[&format!("Authorization: Bearer {TOKEN}")], "").with_status(200);
    site.ask("GET", "/", &["Authorization: Bearer wrong"], "").with_status(401);
    site.goes_on();
}

#[test]
fn a_proxy_that_was_not_named_shows_nothing_to_strangers() {
    let bench = bench();
    let site = Site::start(&bench);
    site.get("/").with_status(200);
    for line in ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1"] {
        site.ask("GET", "/", &[line], "").with_status(303);
    }
    site.goes_on();
}

#[test]
fn cookies_are_strict_and_guesses_are_slowed_down() {
    let bench = bench();
    let site = Site::start(&bench);
    let sign_in = |token: &str, lines: &[&str]| {
        site.post("/sign-in", lines, &format!("token={token}&to=//evil.example"))
    };
    let answer = sign_in(TOKEN, &[]).with_status(303);
    assert_eq!(answer.header("location"), Some("/"));
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    let behind_tls = sign_in(TOKEN, &["X-Forwarded-Proto: https"]);
    assert!(behind_tls.header("set-cookie").expect("a cookie").contains("; Secure"));
    for _ in 0..10 {
        assert!(sign_in("wrong", &[]).with_status(401).header("set-cookie").is_none());
    }
    let slowed = sign_in(TOKEN, &[]).with_status(429);
    assert!(slowed.header("retry-after").is_some_and(|wait| ["1", "2"].contains(&wait)), "{slowed:?}");
    wait_until(Duration::from_secs(10), "the right token", || sign_in(TOKEN, &[]).status == 303);
    assert!(!site.service.stderr().contains(TOKEN));
    site.goes_on();
}

#[test]
fn heads_and_bodies_that_are_too_large_or_too_slow_are_cut_off() {
    let bench = bench();
    let site = Site::start(&bench);
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: {}\r\n\r\n", "x".repeat(10 << 20));
    let answer = site.send(large.as_bytes());
    assert!([0, 431].contains(&answer.status), "{answer:?}");
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: x\r\n".repeat(500));
    assert!([0, 431].contains(&site.send(many.as_bytes()).status));
    let form = "Content-Type: application/x-www-form-urlencoded";
    let head = format!("POST /sign-in HTTP/1.1\r\nHost: localhost\r\n{form}\r\nConnection: close\r\n");
    let body = format!("{head}Content-Length: {}\r\n\r\n{}", 5 << 20, "x".repeat(5 << 20));
    assert!([0, 413].contains(&site.send(body.as_bytes()).status));

    // Many that say next to nothing keep nobody else from being heard, and are not waited for for long.
    let begun = Instant::now();
    let slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = site.connect();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").expect("sent");
            stream
        })
        .collect();
    let mut body = site.connect();
    body.write_all(format!("{head}Content-Length: 1000\r\n\r\ntoken=").as_bytes()).expect("sent");
    site.get("/").with_status(200);
    assert!(begun.elapsed() < Duration::from_secs(8), "kept waiting for {:?}", begun.elapsed());
    assert_eq!(Answer::read(body).status, 408);
    for stream in slow {
        let answer = Answer::read(stream);
        assert!([0, 408].contains(&answer.status), "{answer:?}");
    }
    site.goes_on();
}

#[test]
fn paths_lead_nowhere_but_to_what_there_is() {
    let bench = bench();
    bench.scratch.write("drop/members/list.csv", "email\nana@example.org\nnonsense\n");
    bench.sync([]).run().with_code(4);
    let site = Site::start(&bench);
    let cookie = site.sign_in();
    for path in [
        "/../lumasync.toml",
        "/static/../../lumasync.toml",
        "/static/%2e%2e%2f%2e%2e%2flumasync.toml",
        "/runs/1/..%2f..%2f..%2flumasync.toml",
        "/runs/1/list.csv",
        "/runs/1/%00",
        "/runs/-1",
        "/runs/+1",
        "/runs/1e3",
        "/runs/99999999999999999999",
        "/runs/2",
        "/runs/%31%00",
        "//evil.example/%2f..",
    ] {
        let answer = site.ask("GET", path, &[&cookie], "");
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.text.contains("api_key") && !answer.text.contains("lumasync.toml"), "{path}");
    }
    site.get("/runs/1/rejects").with_status(401);
    let rejects = site.ask("GET", "/runs/1/rejects", &[&cookie], "").with_status(200);
    assert!(rejects.text.contains("nonsense") && rejects.text.contains("email_invalid"), "{rejects:?}");
    assert_eq!(rejects.header("content-disposition"), Some("attachment; filename=\"run-1-rejects.csv\""));
    site.goes_on();
}

#[test]
fn every_answer_keeps_a_browser_from_doing_more_than_the_page_needs() {
    let bench = bench();
    let site = Site::start(&bench);
    for path in ["/", "/sign-in", "/runs", "/no/such", "/healthz", "/runs/1"] {
        let answer = site.get(path);
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}: {answer:?}"));
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(!answer.text.contains(" style=") && !answer.text.contains(" onclick="), "{path}");
    }
    site.goes_on();
}

#[test]
fn a_port_that_is_taken_is_told_at_once() {
    let bench = bench();
    let site = Site::start(&bench);
    let other = Bench::new("", &format!("web.listen = \"{}\"", site.address));
    let ended = other.lumasync(["run"]).run().with_code(78);
    let said = format!("error: cannot serve pages on `{}`", site.address);
    assert!(ended.stderr.contains(&said) && ended.stderr.contains("hint: set `web.listen`"), "{ended}");
    let ended = other.lumasync(["check"]).run().with_code(0);
    assert!(!ended.stderr.contains("web"), "{ended}");
    site.goes_on();
}

#[test]
fn without_a_token_pages_are_read_and_nothing_is_changed() {
    let bench = Bench::new("", "web.listen = \"127.0.0.1:0\"");
    let site = Site::start(&bench);
    site.get("/").with_status(200);
    assert!(site.get("/sign-in").with_status(200).text.contains("web.token"));
    site.post("/sign-in", &[], "token=&name=").with_status(403);
    site.post("/runs/1/cancel", &[], "csrf=").with_status(403);
    site.get("/runs/1/rejects").with_status(403);
    site.goes_on();
}
