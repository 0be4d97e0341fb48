//! The key travels encrypted, and only to who proves to be the one that was asked for.

use crate::support::{Bench, KEY, Luma, People, Scratch, TlsFront, own_cluster};
use lumasync::sandbox::Options;

/// A Luma behind TLS, and a folder with a configuration that knows it as `host`.
fn encrypted(host: &str) -> (Bench, TlsFront) {
    let bench = Bench::new("", "");
    let front = TlsFront::start(&bench.luma, "localhost");
    let url = front.url(host);
    bench.write_config(&url, "retry.max_attempts = 1");
    bench.scratch.write("ca.pem", front.authority());
    (bench, front)
}

#[test]
fn who_has_a_certificate_of_an_authority_we_know_is_given_the_key() {
    let (bench, _front) = encrypted("localhost");
    let people = People::clean(30, Some("vip"));
    bench.scratch.write("list.csv", &people.csv);
    let known = bench.scratch.path("ca.pem");
    let ended = bench.sync(["list.csv"]).env("SSL_CERT_FILE", &known).run().with_code(0);
    assert!(bench.luma.members() == people.members, "{ended}");
    let checked = bench.lumasync(["check", "--connect"]).env("SSL_CERT_FILE", known).run().with_code(0);
    assert!(!checked.stdout.contains(KEY) && !checked.stderr.contains(KEY), "{checked}");
}

#[test]
fn who_cannot_prove_to_be_luma_gets_nothing_and_the_error_says_why() {
    let (stranger, _its_front) = encrypted("localhost");
    for (host, authority, why) in [
        ("localhost", stranger.scratch.path("ca.pem"), "an authority that this machine does not trust"),
        ("127.0.0.1", "ca.pem".into(), "for another name"),
    ] {
        let (bench, _front) = encrypted(host);
        bench.scratch.write("list.csv", People::clean(3, None).csv);
        let authority = bench.scratch.root().join(authority);
        let ended = bench.sync(["list.csv"]).env("SSL_CERT_FILE", authority).run().with_code(75);
        assert!(ended.stderr.contains("cannot reach Luma") && ended.stderr.contains(why), "{ended}");
        assert_eq!(bench.luma.snapshot().requests, 0, "{ended}");
        assert!(!ended.stderr.contains(KEY) && !ended.stdout.contains(KEY), "{ended}");
        assert_eq!(bench.db().count("select count(*) from member_queue where state = 'pending'"), 3);
    }
}

#[test]
fn a_database_is_spoken_to_in_secret_and_has_to_prove_who_it_is() {
    let Some(cluster) = own_cluster() else { return };
    let front = TlsFront::of_postgres(&cluster, "localhost");
    let authority = Scratch::new();
    let known = authority.write("ca.pem", front.authority()).display().to_string();
    let known = format!("&sslrootcert={known}");
    for (host, mode, authority, said, code) in [
        ("localhost", "verify-full", known.as_str(), "", 0),
        ("127.0.0.1", "verify-ca", &known, "", 0),
        ("127.0.0.1", "require", "", "", 0),
        ("localhost", "verify-full", "", "UnknownIssuer", 1),
        ("127.0.0.1", "verify-full", &known, "not valid for name", 1),
    ] {
        let port = front.port();
        let url = format!("postgres://postgres@{host}:{port}/postgres?sslmode={mode}{authority}");
        let ended = Bench::on(&url, "", "").lumasync(["db", "migrate"]).run().with_code(code);
        assert!(ended.stderr.contains(said), "{ended}");
        assert_eq!(ended.stderr.contains("`sslrootcert=/path/ca.pem`"), code == 1, "{ended}");
    }
    // One that speaks no TLS is not spoken to.
    let url = cluster.url("postgres") + "&sslmode=require";
    let ended = Bench::on(&url, "", "").lumasync(["db", "migrate"]).run().with_code(1);
    assert!(ended.stderr.contains("does not support TLS"), "{ended}");
}

#[test]
fn the_key_is_not_sent_in_the_open_but_to_this_machine() {
    let luma = Luma::start(Options { limit: None, ..Options::default() });
    let bench = Bench::new("", "");
    for (url, code) in [
        ("http://api.lu.ma", 78),
        ("http://192.0.2.7:8080", 78),
        ("http://localhost.example.org", 78),
        ("http://[2001:db8::1]", 78),
        (&luma.url(), 0),
    ] {
        bench.write_config(url, "");
        let ended = bench.lumasync(["check"]).run().with_code(code);
        let says_why = ended.stderr.contains("`luma.base_url`") && ended.stderr.contains("in the open");
        assert_eq!(says_why, code == 78, "{ended}");
    }
}
