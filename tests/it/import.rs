//! The main job: a file goes in, and Luma holds exactly its people with their tags.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::support::{Bench, Members, People};

fn members(list: &[(&str, &[&str])]) -> Members {
    list.iter()
        .map(|(email, tags)| ((*email).into(), tags.iter().map(|tag| (*tag).into()).collect()))
        .collect()
}

#[test]
fn what_arrives_is_exactly_the_valid_distinct_people_with_their_tags() {
    let (bench, people) = (Bench::new("", ""), People::messy(20_000, 7));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    assert!(bench.luma.members() == people.members, "other people or other tags\n{ended}");
    assert_eq!(report.rows("read"), people.rows);
    assert_eq!(report.rows("delivered"), people.members.len() as u64);
    assert_eq!(report.rows("duplicate"), people.duplicates);
    assert_eq!(report.rows("invalid"), people.invalid + people.unknown_tags);
    let by_code =
        |code: &str| report.causes().iter().filter(|(c, _)| c.starts_with(code)).map(|(_, n)| n).sum();
    let (email_codes, tag_codes): (u64, u64) = (by_code("email_"), by_code("tag_unknown"));
    assert_eq!((email_codes, tag_codes), (people.invalid, people.unknown_tags));
    let counts = bench.luma.snapshot();
    // Who wants several tags may have been in several requests, and nobody in two that bring the same.
    assert_eq!((counts.repeats, counts.dropped), (0, 0));
    let people_sent = people.members.len() as u64;
    assert!((people_sent..people_sent + 500 * 6).contains(&counts.rows_received), "{counts:?}");
    // One more for each tag set at most, and the question whom the key belongs to.
    assert!(counts.requests <= people.members.len() as u64 / 500 + 6 + 1, "{counts:?}");

    let again = bench.sync(["list.csv"]).run().with_code(4);
    assert_eq!(bench.luma.snapshot().requests, counts.requests, "the same bytes cost no request\n{again}");
    assert!(again.stderr.contains("the same bytes again send nothing"), "{again}");
    assert_eq!(again.report().rows("delivered"), people.members.len() as u64);
}

#[test]
fn a_large_file_arrives_whole() {
    let (bench, people) = (Bench::new("", "batch.max_rows = 1000"), People::messy(200_000, 11));
    bench.scratch.write("list.csv", &people.csv);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    assert!(bench.luma.members() == people.members, "other people or other tags\n{ended}");
    assert_eq!((report.rows("read"), report.rows("duplicate")), (people.rows, people.duplicates));
    assert_eq!(bench.luma.snapshot().repeats, 0);
}

#[test]
fn a_clean_file_ends_well_twice_and_one_new_row_is_one_request_of_one_row() {
    let (bench, people) = (Bench::new("", ""), People::clean(3_000, Some("vip")));
    bench.scratch.write("list.csv", &people.csv);
    bench.sync(["list.csv"]).run().with_code(0);
    let before = bench.luma.snapshot();
    assert_eq!((before.imports, before.rows_received), (6, 3_000));
    bench.sync(["list.csv"]).run().with_code(0);
    assert_eq!(bench.luma.snapshot(), before);

    bench.scratch.write("tomorrow.csv", format!("{}new@example.org,vip\n", people.csv));
    let ended = bench.sync(["tomorrow.csv"]).run().with_code(0);
    let (report, after) = (ended.report(), bench.luma.snapshot());
    assert_eq!((report.rows("unchanged"), report.rows("delivered")), (3_000, 1), "{ended}");
    assert_eq!((after.imports - before.imports, after.rows_received - before.rows_received), (1, 1));
    assert_eq!(bench.luma.members().len(), 3_001);
}

#[test]
fn a_changed_order_or_spelling_of_the_same_people_sends_nothing() {
    let bench = Bench::new("", "");
    bench.scratch.write("one.csv", "email,name,tags\nAna@example.org,Ana,vip;press\nbo@example.org,Bo,\n");
    bench.sync(["one.csv"]).run().with_code(0);
    let before = bench.luma.snapshot();
    bench
        .scratch
        .write("two.csv", "tags,email\n,BO@EXAMPLE.ORG\npress|vip,ana@Example.org\nvip,ANA@example.org\n");
    let report = bench.sync(["two.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("unchanged"), report.rows("duplicate"), report.rows("delivered")), (2, 1, 0));
    assert_eq!(bench.luma.snapshot().requests, before.requests);
}

#[test]
fn a_new_tag_is_sent_and_joins_the_old_ones() {
    let bench = Bench::new("", "");
    bench.scratch.write("one.csv", "email,tags\nana@example.org,vip\nbo@example.org,vip\n");
    bench.sync(["one.csv"]).run().with_code(0);
    bench.scratch.write("two.csv", "email,tags\nana@example.org,press\nbo@example.org,vip\n");
    let report = bench.sync(["two.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("unchanged"), report.rows("delivered")), (1, 1));
    bench.scratch.write("three.csv", "email,tags\nana@example.org,press;vip\nbo@example.org,\n");
    let report = bench.sync(["three.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("unchanged"), report.rows("delivered")), (2, 0), "the ledger holds the union");
    let held = members(&[("ana@example.org", &["tag-press", "tag-vip"]), ("bo@example.org", &["tag-vip"])]);
    assert_eq!(bench.luma.members(), held);
}

#[test]
fn a_tag_by_hand_goes_to_every_row_and_makes_the_same_bytes_another_file() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", "email,tags\nana@example.org,vip\nbo@example.org,\n");
    bench.sync(["list.csv", "--tag", "press", "--tag", "tag-gold"]).run().with_code(0);
    let held = members(&[
        ("ana@example.org", &["tag-gold", "tag-press", "tag-vip"]),
        ("bo@example.org", &["tag-gold", "tag-press"]),
    ]);
    assert_eq!(bench.luma.members(), held);
    let requests = bench.luma.snapshot().requests;
    let report = bench.sync(["list.csv", "--tag", "tag-new"]).run().with_code(0).report();
    assert_eq!(report.rows("delivered"), 2);
    bench.sync(["list.csv", "--tag", "nobody-knows"]).run().with_code(2);
    assert!(bench.luma.snapshot().requests > requests);
    assert_eq!(bench.luma.members()["bo@example.org"], ["tag-gold", "tag-new", "tag-press"]);
}

#[test]
fn again_takes_the_same_bytes_in_once_more_and_sends_only_differences() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", "email\nana@example.org\nbo@example.org\n");
    let first = bench.sync(["list.csv"]).run().with_code(0).report();
    let requests = bench.luma.snapshot().requests;
    let second = bench.sync(["list.csv", "--again"]).run().with_code(0).report();
    assert!(second.number("run") > first.number("run"));
    assert_eq!((second.rows("unchanged"), second.rows("delivered")), (2, 0));
    assert_eq!(bench.luma.snapshot().requests, requests);
}

/// What people save, and how it is told from the others.
fn shapes() -> Vec<(&'static str, Vec<u8>)> {
    let comma =
        "email,name,tags\nana@example.org,Zoë Müller,vip\nbo@example.org,\"Bo, \"\"B\"\" O\",press|vip\n";
    let semicolon =
        "E-Mail;Name;Tags\nana@example.org;Zoë Müller;vip\nbo@example.org;\"Bo, \"\"B\"\" O\";press|vip\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(comma.as_bytes()).expect("packed");
    let utf16 =
        |to: fn(u16) -> [u8; 2]| "\u{feff}".encode_utf16().chain(comma.encode_utf16()).flat_map(to).collect();
    let windows = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin")).collect();
    vec![
        ("plain.csv", comma.into()),
        ("bom.csv", [b"\xef\xbb\xbf", comma.as_bytes()].concat()),
        ("crlf.csv", comma.replace('\n', "\r\n").into()),
        ("semicolon.csv", semicolon.into()),
        ("tab.csv", semicolon.replace(';', "\t").into()),
        ("packed.csv.gz", gz.finish().expect("packed")),
        ("packed.csv.zst", zstd::encode_all(comma.as_bytes(), 1).expect("packed")),
        ("utf16le.csv", utf16(u16::to_le_bytes)),
        ("utf16be.csv", utf16(u16::to_be_bytes)),
        ("windows-1252.csv", windows(semicolon)),
    ]
}

#[test]
fn files_come_in_every_shape_that_people_save() {
    for (name, bytes) in shapes() {
        let bench = Bench::new("", "");
        bench.scratch.write(name, bytes);
        let ended = bench.sync([name]).run().with_code(0);
        assert_eq!(ended.report().rows("delivered"), 2, "{ended}");
        let held =
            members(&[("ana@example.org", &["tag-vip"]), ("bo@example.org", &["tag-press", "tag-vip"])]);
        assert_eq!(bench.luma.members(), held, "{ended}");
        let names = bench.db().rows("select name from member_queue order by email");
        assert_eq!(names, [["Zoë Müller"], ["Bo, \"B\" O"]], "{ended}");
    }
}

#[test]
fn lumas_own_exports_are_taken_as_they_are() {
    let bench = Bench::new("", "");
    let guests = "\u{feff}api_id,name,first_name,last_name,email,phone_number,created_at,approval_status,\
        custom_source,checked_in_at,qr_code_url,amount,amount_tax,amount_discount,currency,coupon_code,eth_address,\
        solana_address,survey_response_rating,survey_response_feedback,ticket_type_id,ticket_name,Email,Tags you like?\n\
        gst-1,,Ana,Lima,ana@example.org,+1 555,2026-05-04T09:00:00.000Z,approved,,,,$0,,,,,,,,,,Standard,\"x, y\",red\n\
        gst-2,Bo Berg,,,bo@example.org,,2026-05-04T09:00:00.000Z,approved,,,,$0,,,,,,,,,,Standard,,\n";
    bench.scratch.write("guests.csv", guests);
    let ended = bench.sync(["guests.csv"]).run().with_code(0);
    assert_eq!(
        bench.luma.members(),
        members(&[("ana@example.org", &[]), ("bo@example.org", &[])]),
        "{ended}"
    );
    let names = bench.db().rows("select name from member_queue order by email");
    assert_eq!(names, [["Ana Lima"], ["Bo Berg"]]);

    let people = "name,first_name,last_name,email,first_seen,user_api_id,tags,event_approved_count,\
        event_checked_in_count,membership_name,membership_status\n\
        Cleo,,,cleo@example.org,2026-05-04T09:00:00.000Z,usr-1,vip;press,1,0,,\n";
    bench.scratch.write("people.csv", people);
    bench.sync(["people.csv"]).run().with_code(0);
    assert_eq!(bench.luma.members()["cleo@example.org"], ["tag-press", "tag-vip"]);
}

#[test]
fn rejects_are_mended_and_sent_again_as_they_are() {
    let bench = Bench::new("reject=cy@example.org@1+", "");
    let list = "id;email;tags;note\n\
        7;ana@example.org;vip;=1+1\n\
        8;bo at example.org;vip;\"two\nlines\"\n\
        9;cy@example.org;;\n\
        10;di@example.org;unheard-of;x\n";
    bench.scratch.write("list.csv", list);
    let run = bench.sync(["list.csv"]).run().with_code(4).report().number("run").to_string();
    let rejects = bench.lumasync(["rejects", &run]).run().with_code(0).stdout;
    let header = rejects.lines().next().expect("a header");
    assert_eq!(header, "id;email;tags;note;_row;_code;_reason");
    for code in ["email_invalid", "api_rejected", "tag_unknown"] {
        assert!(rejects.contains(&format!(";{code};")), "no {code} in\n{rejects}");
    }
    assert!(!rejects.contains("ana@example.org"), "{rejects}");
    let mended = rejects.replace("bo at example.org", "bo@example.org").replace("unheard-of", "press");
    bench.scratch.write("fix.csv", mended);
    let ended = bench.sync(["fix.csv"]).run().with_code(4);
    let report = ended.report();
    assert_eq!(
        (report.rows("read"), report.rows("delivered"), report.rows("rejected")),
        (3, 2, 1),
        "{ended}"
    );
    let held = members(&[
        ("ana@example.org", &["tag-vip"]),
        ("bo@example.org", &["tag-vip"]),
        ("di@example.org", &["tag-press"]),
    ]);
    assert_eq!(bench.luma.members(), held);

    let lines = bench.lumasync(["rejects", &run, "--format", "jsonl"]).run().with_code(0).stdout;
    let codes: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["code"].to_string())
        .collect();
    assert_eq!(codes, ["\"email_invalid\"", "\"api_rejected\"", "\"tag_unknown\""]);
}

#[test]
fn broken_rows_leave_their_neighbours_unharmed() {
    let bench = Bench::new("", "");
    let mut list = b"email,name,tags\nana@example.org,Ana,vip\n".to_vec();
    list.extend_from_slice(b"bo@example.org,too,many,cells,here\ncy@example.org,Cy\0Null,\n");
    list.extend_from_slice(b"di@example.org,Di,vip\n");
    let _ = writeln!(list, "ed@example.org,{},", "x".repeat(1 << 20));
    list.extend_from_slice(b"flo@example.org,Flo,press\nlast@example.org,\"never closed,\n");
    bench.scratch.write("list.csv", list);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    assert_eq!(report.rows("read"), 7, "{ended}");
    for (address, tags) in members(&[
        ("ana@example.org", &["tag-vip"]),
        ("di@example.org", &["tag-vip"]),
        ("flo@example.org", &["tag-press"]),
    ]) {
        assert_eq!(bench.luma.members().get(&address), Some(&tags), "{ended}");
    }
    assert!(!bench.luma.members().contains_key("bo@example.org"), "{ended}");
}

#[test]
fn a_file_that_is_no_list_is_named_and_harms_no_other() {
    let bench = Bench::new("", "");
    bench.scratch.write("binary.csv", (0..=255_u8).cycle().take(5_000).collect::<Vec<_>>());
    bench.scratch.write("empty.csv", "");
    bench.scratch.write("typo.csv", "emial,name\nana@example.org,Ana\n");
    bench.scratch.write("good.csv", "email\nbo@example.org\n");
    let mut files = String::new();
    for name in ["binary.csv", "empty.csv", "typo.csv", "missing.csv"] {
        let _ = write!(files, "{name} ");
        let ended = bench.sync([name]).run().with_code(1);
        assert!(ended.stderr.contains(name), "{ended}");
    }
    let together: Vec<&str> = files.split_whitespace().chain(["good.csv"]).collect();
    let ended = bench.sync(together).run().with_code(1);
    assert!(ended.stderr.contains("emial"), "{ended}");
    assert_eq!(bench.luma.members(), members(&[("bo@example.org", &[])]), "{ended}");
}

#[test]
fn guests_who_declined_are_left_alone_and_told_of() {
    let bench = Bench::new("", "folder.on_error = \"refuse\"");
    let guests = "api_id,name,email,approval_status\ngst-1,Ana,ana@example.org,approved\n\
        gst-2,Bo,bo@example.org,declined\ngst-3,Cy,cy@example.org,invited\ngst-4,Di,di@example.org,waitlist\n";
    bench.scratch.write("guests.csv", guests);
    let ended = bench.sync(["guests.csv"]).run().with_code(0);
    let report = ended.report();
    assert_eq!(bench.luma.members().into_keys().collect::<Vec<_>>(), ["ana@example.org", "di@example.org"]);
    assert_eq!((report.text("status"), report.rows("suppressed")), ("succeeded", 2), "{ended}");
    assert_eq!(report.causes(), [("guest_excluded".to_owned(), 2)]);
    let run = report.number("run").to_string();
    let rejects = bench.lumasync(["rejects", &run]).run().with_code(0).stdout;
    bench.scratch.write("again.csv", &rejects);
    let report = bench.sync(["again.csv"]).run().with_code(0).report();
    assert_eq!((report.rows("read"), report.rows("suppressed")), (2, 2), "{rejects}");

    bench.configure("folder.guests = \"all\"");
    bench.sync(["again.csv", "--again"]).run().with_code(0);
    assert_eq!(bench.luma.members().len(), 4, "it was asked for");
}

#[test]
fn each_reason_has_its_line_and_the_numbers_add_up() {
    let bench = Bench::new("", "");
    let mut list = "email,tags\nana@example.org,vip\n".to_owned();
    for (tag, rows) in [("a", 4), ("b", 3), ("c", 2), ("d", 2), ("e", 2), ("f", 1), ("g", 1)] {
        for row in 0..rows {
            let _ = writeln!(list, "{tag}{row}@example.org,{tag}");
        }
    }
    bench.scratch.write("list.csv", &list);
    let ended = bench.sync(["list.csv"]).run().with_code(4);
    let report = ended.report();
    let cause = &report.0["causes"][0];
    assert_eq!((&cause["code"], &cause["rows"]), (&"tag_unknown".into(), &15.into()), "{ended}");
    let reasons = cause["reasons"].as_array().expect("reasons");
    let counts: Vec<u64> = reasons.iter().filter_map(|reason| reason["rows"].as_u64()).collect();
    assert_eq!(counts, [4, 3, 2, 2, 2]);
    assert_eq!((&cause["more_reasons"], &cause["more_rows"]), (&2.into(), &2.into()), "{cause}");
    assert_eq!(reasons[1]["first_lines"], serde_json::json!([7, 8, 9]), "{cause}");
    assert!(reasons[1]["reason"].as_str().is_some_and(|reason| reason.contains("`b`")), "{cause}");
    let text = bench.lumasync(["runs", "show", "1"]).run().with_code(0).stdout;
    assert!(text.contains("2  and 2 more reasons"), "{text}");
    assert!(text.contains("(lines 7, 8, 9)") && text.contains("\n  1 request in "), "{text}");
}

#[test]
fn columns_that_are_not_read_are_named_and_one_like_tags_is_asked_about() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", "Mail Address,Labels,Phone\nana@example.org,vip,1\n");
    let ended = bench.sync(["list.csv"]).run().with_code(0);
    assert!(
        ended.stderr.contains("WARN") && ended.stderr.contains("(`Labels`): did you mean `tags`?"),
        "{ended}"
    );
    assert!(ended.stderr.contains("not read: `Labels`, `Phone`"), "{ended}");
    let told = ended.report().text("read_as").to_owned();
    assert!(told.contains("did you mean `tags`?") && told.contains("`Phone`"), "{told}");
    assert_eq!(bench.luma.members(), members(&[("ana@example.org", &[])]));
}

#[test]
fn the_same_file_again_says_that_nothing_was_sent() {
    let bench = Bench::new("", "");
    bench.scratch.write("list.csv", "email\nana@example.org\n");
    let first = bench.lumasync(["sync", "list.csv"]).run().with_code(0);
    assert!(!first.stdout.contains("nothing was sent now"), "{first}");
    let again = bench.lumasync(["sync", "list.csv"]).run().with_code(0);
    assert!(
        again.stdout.starts_with("nothing was sent now; this is what run 1 did:\nrun 1  list.csv"),
        "{again}"
    );
    let report = bench.sync(["list.csv", "list.csv"]).run().with_code(0).report();
    assert_eq!(report.0["already_taken"], true);
}

#[test]
fn rows_of_too_few_or_too_many_cells_are_mended_in_place() {
    let bench = Bench::new("", "");
    bench
        .scratch
        .write("list.csv", "name,email\nAna,ana@example.org,vip\nbo@example.org\nCy,cy@example.org\n");
    bench.sync(["list.csv"]).run().with_code(4);
    let rejects = bench.lumasync(["rejects", "1"]).run().with_code(0).stdout;
    bench.scratch.write("unmended.csv", &rejects);
    let report = bench.sync(["unmended.csv"]).run().with_code(4).report();
    assert_eq!((report.rows("invalid"), report.rows("delivered")), (2, 0), "{rejects}");
    let mended = rejects.replace("bo@example.org,<missing>", "Bo,bo@example.org").replace(",vip", "");
    bench.scratch.write("mended.csv", &mended);
    bench.sync(["mended.csv"]).run().with_code(0);
    let held = members(&[("ana@example.org", &[]), ("bo@example.org", &[]), ("cy@example.org", &[])]);
    assert_eq!(bench.luma.members(), held, "{mended}");

    bench.scratch.write("gone.csv", "email,name\ndi@example.org\n");
    let run = bench.sync(["gone.csv"]).run().with_code(4).report().number("run").to_string();
    std::fs::remove_file(bench.scratch.path("gone.csv")).expect("gone");
    let rejects = bench.lumasync(["rejects", &run]).run().with_code(0).stdout;
    bench.scratch.write("from-record.csv", &rejects);
    let report = bench.sync(["from-record.csv"]).run().with_code(4).report();
    assert_eq!((report.rows("invalid"), report.rows("delivered")), (1, 0), "{rejects}");
}
