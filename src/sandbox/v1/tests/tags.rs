//! Tags: what there are, and who gets them.

use super::*;

const APPLY: &str = "/v1/calendars/contact-tags/apply";
const UNAPPLY: &str = "/v1/calendars/contact-tags/unapply";

async fn names(bench: &Bench) -> Vec<String> {
    let (_, list) = bench.get("/v1/calendars/contact-tags/list").await;
    assert_eq!(list["has_more"], false);
    let rows = list["entries"].as_array().expect("rows");
    rows.iter().map(|row| format!("{} {}", row["name"], row["color"]).replace('"', "")).collect()
}

#[tokio::test]
async fn tags_are_made_changed_and_taken_away() {
    let bench = Bench::new(Options::default()).await;
    let body = json!({ "name": "VIP", "color": "cranberry" });
    let (status, made) = bench.post("/v1/calendars/contact-tags/create", body).await;
    assert_eq!((status, &made), (200, &json!({ "id": "tag-sandbox00001" })));
    bench.tag("press").await;
    assert_eq!(names(&bench).await, ["VIP cranberry", "press blue"]);
    bench.import(&["ana@example.org"], &["VIP", "press"]).await;

    let change = json!({ "tag_id": made["id"], "name": "Friends" });
    assert_eq!(bench.post("/v1/calendars/contact-tags/update", change).await, (200, json!({})));
    assert_eq!(names(&bench).await, ["Friends cranberry", "press blue"]);
    assert_eq!(bench.emails("tags=Friends").await, ["ana@example.org"]);

    let id = json!({ "tag_id": made["id"] });
    assert_eq!(bench.post("/v1/calendars/contact-tags/delete", id.clone()).await, (200, json!({})));
    assert_eq!(bench.post("/v1/calendars/contact-tags/delete", id).await, (400, refusal("Tag not found.")));
    assert_eq!(bench.sandbox.members()["ana@example.org"], ["tag-sandbox00002"]);
    assert_eq!(bench.tag("next").await, "tag-sandbox00003", "an id is never given twice");
    let names = [("tag-sandbox00002", "press"), ("tag-sandbox00003", "next")];
    assert_eq!(bench.sandbox.tags_of(KEY), names.map(|(id, name)| (id.into(), name.into())).into());
}

#[tokio::test]
async fn a_second_tag_of_one_name_is_refused_or_made() {
    let body = json!({ "name": "vip" });
    for (setting, status) in [(("tag-twice", "reject"), 400), (("tag-twice", "allow"), 200)] {
        let bench = Bench::new(set(&[setting])).await;
        bench.tag("vip").await;
        assert_eq!(bench.post("/v1/calendars/contact-tags/create", body.clone()).await.0, status);
    }
    let bench = Bench::new(set(&[("tag-case", "ignore")])).await;
    bench.tag("VIP").await;
    assert_eq!(bench.post("/v1/calendars/contact-tags/create", body).await.0, 400);
    bench.import(&["ana@example.org"], &["vIp"]).await;
}

#[tokio::test]
async fn odd_tags_are_refused_line_by_line() {
    let bench = Bench::new(Options::default()).await;
    for (path, body, line) in [
        ("create", json!({}), "name: Invalid input: expected string, received undefined"),
        ("create", json!({ "name": " " }), "name: Too small: expected string to have >=1 characters"),
        (
            "create",
            json!({ "name": "a", "color": "pink" }),
            "color: Invalid option: expected one of \"cranberry\"|\"barney\"|\"red\"|\"green\"|\"blue\"|\"purple\"\
             |\"yellow\"|\"orange\"",
        ),
        (
            "update",
            json!({ "tag_id": "a", "color": null }),
            "color: Invalid input: expected string, received null",
        ),
        ("apply", json!({ "emails": ["a"] }), "tag: Invalid input: expected string, received undefined"),
        (
            "apply",
            json!({ "tag": "a", "emails": [1] }),
            "emails[0]: Invalid input: expected string, received number",
        ),
    ] {
        let answer = bench.post(&format!("/v1/calendars/contact-tags/{path}"), body).await;
        assert_eq!(answer, (400, refusal(&format!("Invalid request.\n- {line}"))), "{path}");
    }
}

#[tokio::test]
async fn applying_counts_contacts_and_makes_none() {
    let bench = Bench::new(Options::default()).await;
    let vip = bench.tag("VIP").await;
    bench.import(&["ana@example.org", "bo@example.org", "cy@example.org"], &[]).await;
    bench.post("/v1/calendars/contacts/remove", json!({ "emails": ["cy@example.org"] })).await;
    let emails =
        json!(["Ana@example.org", "bo@example.org", "ana@example.org", "cy@example.org", "di@example.org"]);
    let counts = json!({ "applied_count": 2, "skipped_count": 2 });
    for _ in 0..2 {
        let answer = bench.post(APPLY, json!({ "tag": "VIP", "emails": emails })).await;
        assert_eq!(answer, (200, counts.clone()), "who has it already counts too");
    }
    assert_eq!(bench.sandbox.members().len(), 2);
    assert_eq!(bench.sandbox.members()["bo@example.org"], std::slice::from_ref(&vip));

    let id = bench.get(&format!("{LIST}?query=bo%40")).await.1["entries"][0]["user_id"].clone();
    let answer = bench.post(UNAPPLY, json!({ "tag": vip, "user_ids": [id, "usr-nobody"] })).await;
    assert_eq!(answer, (200, json!({ "removed_count": 1, "skipped_count": 1 })));
    assert_eq!(bench.emails("tags=VIP").await, ["ana@example.org"]);
    assert_eq!(
        bench.post(APPLY, json!({ "tag": "none", "emails": [] })).await,
        (400, refusal("Tag not found."))
    );
}

#[tokio::test]
async fn a_tag_that_changes_nothing_counts_or_does_not() {
    for (mode, count) in [("counted", 1), ("uncounted", 0)] {
        let bench = Bench::new(set(&[("tag-again", mode)])).await;
        bench.tag("VIP").await;
        bench.import(&["ana@example.org"], &["VIP"]).await;
        let body = json!({ "tag": "VIP", "emails": ["ana@example.org", "bo@example.org"] });
        let applied = json!({ "applied_count": count, "skipped_count": 1 });
        assert_eq!(bench.post(APPLY, body.clone()).await, (200, applied), "{mode}");
        let removed = |count| (200, json!({ "removed_count": count, "skipped_count": 1 }));
        assert_eq!(bench.post(UNAPPLY, body.clone()).await, removed(1), "{mode}");
        assert_eq!(bench.post(UNAPPLY, body).await, removed(count), "{mode}");
    }
}

#[tokio::test]
async fn applying_to_nobody_is_two_zeros_or_a_mistake() {
    for (mode, status) in [("zeros", 200), ("reject", 400)] {
        let bench = Bench::new(set(&[("empty-apply", mode)])).await;
        bench.tag("VIP").await;
        let (answered, answer) = bench.post(APPLY, json!({ "tag": "VIP" })).await;
        assert_eq!(answered, status);
        assert_eq!(answer.get("applied_count"), (status == 200).then_some(&json!(0)));
    }
}
