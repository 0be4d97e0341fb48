//! Faults: rows that vanish without a word, and answers that are lost after their effect.

use super::*;

/// A write whose answer is cut off.
async fn lost(bench: &Bench, path: &str, body: Value) {
    let url = bench.sandbox.url() + path;
    let request = bench.client.post(url).header("x-luma-api-key", KEY).body(body.to_string());
    assert!(request.send().await.is_err(), "{path} was answered");
}

#[tokio::test]
async fn a_share_of_an_import_vanishes_and_the_same_for_one_seed() {
    let all: Vec<String> = (0..1_000).map(|number| format!("p{number}@example.org")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let held = async |seed, chunk| {
        let bench = Bench::new(Options { seed, ..faulty("lose=10%") }).await;
        for part in all.chunks(chunk) {
            bench.import(part, &[]).await;
        }
        let counts = bench.counts();
        assert_eq!(counts.lost + counts.member_count as u64, 1_000);
        assert!((50..200).contains(&counts.lost), "{}", counts.lost);
        bench.import(&all, &[]).await;
        assert_eq!(bench.counts().lost, 2 * counts.lost, "once more makes nothing better");
        bench.sandbox.members().into_keys().collect::<Vec<_>>()
    };
    assert_eq!(held(7, 100).await, held(7, 333).await, "in whatever batches they come");
    assert_ne!(held(7, 500).await, held(8, 500).await);
}

#[tokio::test]
async fn one_import_may_vanish_as_a_whole_and_in_the_beta_too() {
    let bench = Bench::new(faulty("lose@1")).await;
    bench.import(&["ana@example.org"], &[]).await;
    assert_eq!(bench.sandbox.members().len(), 0);
    bench.import(&["ana@example.org"], &[]).await;
    assert_eq!(bench.sandbox.members().len(), 1);

    let beta = Bench::new(faulty("lose")).await;
    let answer = beta.post("/user/audience/import", json!({ "emails": ["ana@example.org"] })).await;
    assert_eq!((answer, beta.counts().lost), ((200, json!({})), 1));
}

#[tokio::test]
async fn every_write_may_lose_its_answer_after_its_effect() {
    let bench = Bench::new(faulty("imports:reset-after@2,events:reset-after,tags:reset-after@2+")).await;
    let tag = bench.tag("VIP").await;
    bench.import(&["ana@example.org"], &[]).await;
    lost(&bench, IMPORT, json!({ "contacts": [{ "email": "bo@example.org" }] })).await;
    assert_eq!(bench.emails("").await.len(), 2);
    lost(&bench, CREATE, event("Demo", Some("demo-1"))).await;
    assert_eq!(bench.get("/v1/entities/lookup?slug=demo-1").await.1["entity"]["event"]["name"], "Demo");
    let people = json!({ "tag": tag, "emails": ["bo@example.org"] });
    lost(&bench, "/v1/calendars/contact-tags/apply", people.clone()).await;
    assert_eq!(bench.emails("tags=VIP").await, ["bo@example.org"]);
    lost(&bench, "/v1/calendars/contact-tags/unapply", people).await;
    assert_eq!(bench.emails("tags=VIP").await.len(), 0);
    lost(&bench, "/v1/calendars/contact-tags/create", json!({ "name": "press" })).await;
    lost(&bench, "/v1/calendars/contact-tags/update", json!({ "tag_id": tag, "name": "Friends" })).await;
    let (_, list) = bench.get("/v1/calendars/contact-tags/list").await;
    assert_eq!(
        (&list["entries"][0]["name"], &list["entries"][1]["name"]),
        (&json!("Friends"), &json!("press"))
    );
    lost(&bench, "/v1/calendars/contact-tags/delete", json!({ "tag_id": tag })).await;
    lost(&bench, "/v1/calendars/contacts/remove", json!({ "emails": ["bo@example.org"] })).await;
    assert_eq!(bench.emails("").await, ["ana@example.org"]);
    assert_eq!(bench.counts().cut, 8);
}

#[tokio::test]
async fn an_answer_may_come_long_after_its_effect() {
    let bench = Bench::new(faulty("slow=60s")).await;
    for (path, body) in [
        (IMPORT, json!({ "contacts": [{ "email": "ana@example.org" }] })),
        (CREATE, event("Demo", Some("demo-1"))),
    ] {
        let before = bench.counts().requests;
        let request = bench.client.post(bench.sandbox.url() + path).header("x-luma-api-key", KEY);
        let waiting = tokio::spawn(request.body(body.to_string()).send());
        let began = std::time::Instant::now();
        while bench.counts().requests == before {
            assert!(began.elapsed() < Duration::from_secs(20), "{path} did not arrive");
            tokio::task::yield_now().await;
        }
        bench.clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "{path} was answered");
        waiting.abort();
    }
    assert_eq!(bench.emails("").await, ["ana@example.org"]);
    assert_eq!(bench.get("/v1/entities/lookup?slug=demo-1").await.1["entity"]["event"]["name"], "Demo");
}

#[tokio::test]
async fn an_answer_in_place_of_a_page_comes_only_where_reads_are_named() {
    let bench = Bench::new(faulty("503@1,reads:500@2")).await;
    assert_eq!(bench.get(LIST).await.0, 200);
    assert_eq!(bench.get(LIST).await, (500, refusal("Internal Server Error")));
    assert_eq!(bench.post(IMPORT, json!({ "contacts": [] })).await.0, 503);
}

#[tokio::test]
async fn a_guilty_address_refuses_whatever_it_is_part_of() {
    let bench = Bench::new(faulty("reject=bo@example.org,reject-named=cy@example.org,max-rows=2")).await;
    let import = async |emails: &[&str]| {
        let contacts: Vec<Value> = emails.iter().map(|email| json!({ "email": email })).collect();
        bench.post(IMPORT, json!({ "contacts": contacts })).await
    };
    assert_eq!(import(&["a@b.org", "BO@example.org"]).await, (400, refusal("Invalid request.")));
    let named = "Invalid request.\n- contacts[1].email: Invalid email address: \"cy@example.org\"";
    assert_eq!(import(&["bo@example.org", "cy@example.org"]).await, (400, refusal(named)));
    assert_eq!(import(&["a@b.org", "b@b.org", "c@b.org"]).await.0, 413);
    assert_eq!(bench.sandbox.members().len(), 0);
}
