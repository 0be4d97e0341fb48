//! Uploads of whoever means no good, or has bad luck on the way: nothing is left behind, and the service goes on.

use std::io::Write as _;
use std::net::TcpStream;

use super::site::{Answer, Site};
use super::upload::{LIST, MULTIPART, Person, bench, form, make_old, names, waiting};
use crate::support::{PATIENCE, wait_until};

#[test]
fn without_a_session_its_form_and_a_page_of_ours_nothing_is_taken() {
    let bench = bench("");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let body = ana.fields("members", "main", "file; filename=\"list.csv\"", LIST.as_bytes());
    let stranger = Person { site: &site, cookie: "X-No: cookie".to_owned(), csrf: ana.csrf.clone() };
    stranger.post(&[MULTIPART], &body).with_status(401);
    let other = Person { site: &site, cookie: site.sign_in(), csrf: String::new() };
    other.post(&[MULTIPART], &body).with_status(403);
    for line in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        ana.post(&[MULTIPART, line], &body).with_status(403);
    }
    ana.post(&[MULTIPART, "Host: evil.example"], &body).with_status(421);
    let file = ("file; filename=\"list.csv\"", LIST.as_bytes());
    let late = form(&[("kind", b"members"), ("account", b"main"), file, ("csrf", ana.csrf.as_bytes())]);
    ana.post(&[MULTIPART], &late).with_status(403);
    ana.post(&[MULTIPART], &form(&[("csrf", b"x"), ("kind", b"members"), file])).with_status(403);
    ana.post(&[MULTIPART], &form(&[("csrf", ana.csrf.as_bytes()), ("kind", b"members")])).with_status(422);
    ana.post(&[MULTIPART], &ana.fields("members", "main", "file; filename=\"\"", b"")).with_status(422);
    ana.post(&["Content-Type: text/csv"], LIST.as_bytes()).with_status(422);
    ana.post(&["Content-Type: application/x-www-form-urlencoded"], b"csrf=x").with_status(422);
    assert_eq!(waiting(&bench).len(), 0);

    let path = ana.staged("list.csv", LIST);
    let answer = site.get(&path).with_status(303);
    assert_eq!(answer.header("location"), Some(format!("/sign-in?to={path}").as_str()));
    assert!(!site.get("/upload").with_status(200).text.contains("list.csv"));
    for act in ["send", "discard"] {
        site.post(&format!("{path}/{act}"), &[], &format!("csrf={}", ana.csrf)).with_status(401);
        site.post(&format!("{path}/{act}"), &[&ana.cookie], "csrf=x").with_status(403);
    }
    assert_eq!(waiting(&bench).len(), 1);
    site.goes_on();
}

#[test]
fn too_large_too_slow_and_broken_off_leave_nothing_behind() {
    let bench = bench("web.max_upload = \"64KiB\"");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let large = |bytes: usize| format!("email\n{}\n", "x".repeat(bytes));
    ana.upload("fits.csv", &large(65_000)).with_status(303);
    let refused = ana.upload("large.csv", &large(66_000)).with_status(413);
    assert!(refused.text.contains("larger than 64 KiB"), "{refused:?}");
    ana.upload("huge.csv", &large(8 << 20)).with_status(413);
    let endless = form(&[(&"x".repeat(3 << 20), b"")]);
    ana.post(&[MULTIPART], &endless).with_status(413);
    assert_eq!(waiting(&bench).len(), 1);

    // Whoever goes away in the midst of it, and whoever ends it too early.
    let whole = ana.fields("members", "main", "file; filename=\"list.csv\"", large(20_000).as_bytes());
    let begin = |length: usize| {
        let mut stream = site.connect();
        stream.write_all(ana.head(&[MULTIPART], length).as_bytes()).expect("sent");
        stream.write_all(&whole[..10_000]).expect("sent");
        stream
    };
    let gone = begin(whole.len());
    wait_until(PATIENCE, "an upload that comes", || waiting(&bench).len() == 2);
    drop(gone);
    wait_until(PATIENCE, "nothing of it", || waiting(&bench).len() == 1);
    Answer::read(begin(10_000)).with_status(400);
    assert_eq!(waiting(&bench).len(), 1);

    // Two that stand still have all places, and not for long.
    let slow: Vec<TcpStream> = (0..2).map(|_| begin(whole.len())).collect();
    wait_until(PATIENCE, "uploads that come", || waiting(&bench).len() == 3);
    ana.upload("third.csv", LIST).with_status(503);
    site.get("/").with_status(200);
    for stream in slow {
        let answer = Answer::read(stream).with_status(408);
        assert!(answer.text.contains("did not come in time"), "{answer:?}");
    }
    assert_eq!(waiting(&bench).len(), 1);
    ana.upload("third.csv", LIST).with_status(303);
    site.goes_on();
}

#[test]
fn no_name_leads_anywhere_or_hides_anything() {
    let bench = bench("folder.settle = \"1h\"");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let long = format!("{}.csv", "ü".repeat(120));
    for (number, (given, name)) in [
        ("../../x.csv", "x.csv"),
        ("C:\\\\y.csv", "y.csv"),
        (".hidden.csv", "hidden.csv"),
        ("z.csv.tmp", "z.csv.tmp.csv"),
        ("%2e%2e%2fa.csv", "%2e%2e%2fa.csv"),
        ("...", "upload.csv"),
        ("..", "upload-2.csv"),
        ("it%22s.csv", "it-s.csv"),
        (long.as_str(), &format!("{}.csv", "ü".repeat(75))),
    ]
    .into_iter()
    .enumerate()
    {
        let path = ana.staged(given, &format!("email\n{number}@example.org\n"));
        ana.shows(&path, "1 person would be sent");
        ana.press(&format!("{path}/send")).with_status(303);
        assert!(
            names(&bench, "drop/members").contains(&name.to_owned()),
            "{given}: {:?}",
            names(&bench, "drop/members")
        );
    }
    // No browser writes such a head.
    for name in ["a\0b.csv", "a\nb.csv"] {
        let answer = ana.upload(name, LIST);
        assert!([303, 422].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(names(&bench, "drop/members").len(), 9);
    assert!(names(&bench, ".").iter().all(|name| !name.contains("x.csv")));
    for path in
        ["/upload/..%2f..%2flumasync.toml", "/upload/%00", "/upload/.uploads", "/upload/x%0d%0aSet-Cookie:a"]
    {
        let answer = site.ask("GET", path, &[&ana.cookie], "");
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!([400, 401, 404].contains(&site.get(path).status), "{path}");
    }
    site.goes_on();
}

#[test]
fn what_is_over_goes_also_where_no_pages_are_served_any_more() {
    let bench = bench("");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let (_kept, old) = (ana.staged("kept.csv", LIST), ana.staged("old.csv", LIST));
    site.goes_on();
    make_old(&bench, &old);
    bench.configure("web.listen = \"\"");
    let service = bench.serve();
    wait_until(PATIENCE, "what is over to go", || waiting(&bench).len() == 1);
    assert!(!service.stderr().contains("pages on"), "{}", service.stderr());
    service.terminate();
    service.wait().with_code(143);
}

#[test]
fn whoever_is_refused_hears_why_also_while_they_still_send() {
    let bench = bench("web.hosts = [\"sync.example.org\"]\nweb.max_upload = \"64KiB\"");
    let site = Site::start(&bench);
    let ana = Person::sign_in(&site);
    let large = vec![b'x'; 24 << 20];
    let nobody = Person { site: &site, cookie: "X-No: cookie".to_owned(), csrf: String::new() };
    for (who, path, line, status) in [
        (&nobody, "/upload", "X-No: thing", 401),
        (&nobody, "/runs", "X-No: thing", 401),
        (&nobody, "/api/v1/uploads", "Authorization: Bearer wrong", 401),
        (&ana, "/api/v1/uploads", "X-No: thing", 401),
        (&ana, "/upload", "Origin: http://evil.example", 403),
        (&ana, "/upload", "X-No: thing", 413),
        (&ana, "/runs", "X-No: thing", 413),
    ] {
        let head = who.head(&[MULTIPART, line], large.len()).replace("/upload ", &format!("{path} "));
        let mut stream = site.connect();
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&large).unwrap_or_else(|error| panic!("{path} {line} is cut: {error}"));
        let answer = Answer::read(stream).with_status(status);
        assert!(!answer.text.is_empty(), "{path} {line}: {answer:?}");
    }
    assert_eq!(waiting(&bench).len(), 0);
    site.goes_on();
}
