//! Faults: what comes in place of an answer, before or after its effect.

use super::*;

#[tokio::test]
async fn a_status_comes_in_place_of_the_effect() {
    let bench = Bench::with_faults("503@1,425@2,401@3,400@4,413@5,plan@6,404@7").await;
    for (status, message) in [
        (503, "Service Unavailable"),
        (425, "Too Early"),
        (401, "You are not signed in."),
        (400, "Invalid request."),
        (413, "Request entity too large."),
        (403, "This plan does not include the API."),
        (404, "Not Found"),
    ] {
        assert_eq!(bench.user().await.status(), StatusCode::OK, "faults are for imports");
        assert_eq!(bench.import_ana().await, (status, envelope(message)));
        assert_eq!(bench.imports(), 0);
    }
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
    assert_eq!(bench.sandbox.members().len(), 1);
}

#[tokio::test]
async fn a_provoked_429_starts_a_block_even_without_a_limit() {
    let bench =
        Bench::new(Options { limit: None, faults: "429@1".parse().expect("a fault"), ..Options::default() });
    let bench = bench.await;
    let refused = bench.import(&["ana@example.org"], &[]).await.expect("sent");
    assert_eq!((refused.status(), header(&refused, "retry-after")), (TOO_MANY, Some("60")));
    assert_eq!(bench.user().await.status(), TOO_MANY);
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
}

#[tokio::test]
async fn a_fault_waits_for_imports_that_the_quota_lets_through() {
    let bench = Bench::with_faults("429@1,500@2").await;
    assert_eq!(bench.import_ana().await.0, 429);
    assert_eq!(bench.import_ana().await.0, 429, "still blocked");
    bench.clock.advance(Duration::from_mins(1));
    assert_eq!(bench.import_ana().await.0, 500);
}

#[tokio::test]
async fn a_reset_comes_before_the_effect() {
    let bench = Bench::with_faults("reset").await;
    bench.import(&["ana@example.org"], &[]).await.expect_err("no answer");
    let (answer, end) = raw_import(&bench.sandbox).await;
    assert_eq!((answer.as_str(), end.map_err(|error| error.kind())), ("", Err(ErrorKind::ConnectionReset)));
    assert_eq!((bench.sandbox.members().len(), bench.sandbox.snapshot().cut), (0, 2));
    assert_eq!(bench.user().await.status(), StatusCode::OK, "the next connection is served");
}

#[tokio::test]
async fn a_reset_after_comes_after_the_effect() {
    let bench = Bench::with_faults("reset-after").await;
    bench.import(&["ana@example.org"], &[]).await.expect_err("no answer");
    assert_eq!((bench.sandbox.members().len(), bench.sandbox.snapshot().cut), (1, 1));
    let (answer, end) = raw_import(&bench.sandbox).await;
    assert_eq!((answer.as_str(), end.map_err(|error| error.kind())), ("", Err(ErrorKind::ConnectionReset)));
    assert_eq!(bench.sandbox.snapshot().repeats, 1);
}

#[tokio::test]
async fn http2_is_served_and_cut_as_well() {
    let mut bench = Bench::with_faults("reset@2,truncated@3").await;
    bench.client = client(true);
    let answer = bench.import(&["ana@example.org"], &[]).await.expect("an answer");
    assert_eq!((answer.version(), answer.status()), (hyper::Version::HTTP_2, StatusCode::OK));
    bench.import(&["bo@example.org"], &[]).await.expect_err("no answer");
    let short = bench.import(&["cy@example.org"], &[]).await.expect("a head");
    short.bytes().await.expect_err("an answer cut short");
    assert_eq!(
        bench.sandbox.members().into_keys().collect::<Vec<_>>(),
        ["ana@example.org", "cy@example.org"]
    );
}

#[tokio::test]
async fn a_slow_answer_follows_an_effect_that_is_already_there() {
    let bench = Bench::with_faults("slow=30s").await;
    let sending = tokio::spawn(bench.post(r#"{"emails":["ana@example.org"]}"#).send());
    let patience = Instant::now();
    // One thread: whoever sees the effect here sees it after the answer began to wait.
    while bench.imports() == 0 {
        assert!(patience.elapsed() < Duration::from_secs(20), "no import arrived");
        tokio::task::yield_now().await;
    }
    bench.clock.advance(Duration::from_secs(29));
    assert_eq!(bench.user().await.status(), StatusCode::OK);
    assert!(!sending.is_finished());
    bench.clock.advance(Duration::from_secs(1));
    let answer = sending.await.expect("no panic").expect("an answer");
    assert_eq!(told(answer).await, (200, "{}".into()));
}

#[tokio::test]
async fn an_answer_slower_than_its_client_is_lost_and_its_effect_is_not() {
    let bench = Bench::with_faults("slow").await;
    let request = bench.post(r#"{"emails":["ana@example.org"]}"#).timeout(Duration::from_secs(2));
    assert!(request.send().await.expect_err("the clock stands still").is_timeout());
    assert_eq!(bench.sandbox.members().len(), 1);
}

#[tokio::test]
async fn a_page_that_is_not_lumas_comes_with_either_status_and_no_effect() {
    let bench = Bench::with_faults("html@1,html-ok@2").await;
    for status in [502, 200] {
        let page = bench.import(&["ana@example.org"], &[]).await.expect("an answer");
        assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(header(&page, "x-ratelimit-limit"), None);
        let (answered, body) = told(page).await;
        assert_eq!(answered, status);
        assert!(body.starts_with("<!doctype html>"), "{body}");
    }
    assert_eq!(bench.imports(), 0);
}

#[tokio::test]
async fn an_empty_answer_is_a_200_without_a_body() {
    let bench = Bench::with_faults("empty").await;
    assert_eq!(bench.import_ana().await, (200, String::new()));
    assert_eq!(bench.imports(), 1);
    let refused = bench.post("{}").send().await.expect("sent");
    let message = "Invalid request.\n- emails: Invalid input: expected array, received undefined";
    assert_eq!(told(refused).await, (400, envelope(message)), "a refusal keeps its body");
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_holds() {
    let bench = Bench::with_faults("truncated").await;
    let answer = bench.import(&["ana@example.org"], &[]).await.expect("a head");
    assert_eq!((answer.status(), answer.content_length()), (StatusCode::OK, Some(2)));
    answer.bytes().await.expect_err("the rest never comes");
    let (raw, _) = raw_import(&bench.sandbox).await;
    assert!(raw.starts_with("HTTP/1.1 200 OK\r\n") && raw.ends_with("\r\n\r\n{"), "{raw}");
    assert_eq!(bench.imports(), 2);
}

#[tokio::test]
async fn a_guilty_address_refuses_whatever_it_is_part_of() {
    let bench = Bench::with_faults("reject=bo@example.org,reject-named=cy@example.org").await;
    let answer = async |emails: &[&str]| told(bench.import(emails, &[]).await.expect("sent")).await;
    assert_eq!(answer(&["ana@example.org", "BO@example.org"]).await, (400, envelope("Invalid request.")));
    let named = envelope("Invalid request.\n- emails[0]: Invalid email address: \"cy@example.org\"");
    assert_eq!(answer(&["cy@example.org", "bo@example.org"]).await, (400, named));
    assert_eq!(bench.sandbox.members().len(), 0);
    assert_eq!(answer(&["ana@example.org"]).await, (200, "{}".into()));
}

#[tokio::test]
async fn more_rows_than_are_taken_are_too_large() {
    let bench = Bench::with_faults("max-rows=1").await;
    let refused = bench.import(&["ana@example.org", "bo@example.org"], &[]).await.expect("sent");
    assert_eq!(told(refused).await, (413, envelope("Request entity too large.")));
    assert_eq!(bench.import_ana().await, (200, "{}".into()));
    assert_eq!(bench.sandbox.members().len(), 1);
}
