//! Several accounts in one database: nothing of one is seen, counted or freed for another.

use lumasync::domain::proof::Verify;
use lumasync::domain::state::{Kind, Trigger};
use lumasync::store::{Claim, Claims, NewRun, RunSource};

use super::fixture::{ACCOUNT, FREE, Fixture, claims, people, refs};

on_every_database! {
    new_rows_are_read_by_account_and_strays_apart,
    an_account_is_entered_once,
    claims_and_what_is_given_up_are_of_one_account,
}

const PARIS: &str = "paris";

async fn new_rows_are_read_by_account_and_strays_apart(db: &Fixture) {
    db.store.enter_account(PARIS).await.expect("entered");
    for account in ["main", "zurich", "paris", "", "main", "rome", "paris", "rome"] {
        let insert =
            format!("insert into member_queue (account, email) values ('{account}', 'a@example.org')");
        db.execute(&insert).await;
        db.execute(&format!("insert into event_queue (account, name) values ('{account}', 'Demo')")).await;
    }
    let accounts =
        |rows: Vec<lumasync::store::NewRow>| rows.into_iter().map(|row| row.account).collect::<Vec<_>>();
    let of = async |account| accounts(db.store.new_rows(account, 10).await.expect("read"));
    assert_eq!(
        (of(ACCOUNT).await, of(PARIS).await),
        (vec!["main"; 2].into_iter().map(str::to_owned).collect(), vec!["paris".to_owned(); 2])
    );
    assert_eq!(accounts(db.store.stray_rows(10).await.expect("read")), ["zurich", "", "rome", "rome"]);
    assert_eq!(accounts(db.store.stray_rows(2).await.expect("read")), ["zurich", ""], "the oldest first");
    let events = db.store.stray_events(10).await.expect("read");
    let named: Vec<&str> = events.iter().map(|event| event.account.as_str()).collect();
    assert_eq!(named, ["zurich", "", "rome", "rome"]);
    assert_eq!(db.store.new_events(PARIS, 10).await.expect("read").len(), 2);
    db.execute("delete from member_queue where account not in ('main', 'paris')").await;
    assert_eq!(db.store.stray_rows(10).await.expect("read"), []);
}

async fn an_account_is_entered_once(db: &Fixture) {
    for _ in 0..2 {
        db.store.enter_account(PARIS).await.expect("entered");
        db.store.set_identity(PARIS, "usr-2", "usr-2").await.expect("written");
    }
    let known = db.store.accounts().await.expect("read");
    let known: Vec<_> =
        known.iter().map(|account| (account.name.as_str(), account.identity.as_deref())).collect();
    assert_eq!(known, [(ACCOUNT, None), (PARIS, Some("usr-2"))]);
}

async fn claims_and_what_is_given_up_are_of_one_account(db: &Fixture) {
    db.store.enter_account(PARIS).await.expect("entered");
    let run = db.list(&refs(&people(0..4)), "", 2).await;
    db.execute(&format!("update batches set account = 'paris' where run_id = {run} and id % 2 = 0")).await;
    let worker = db.worker().await;
    let own = db.claim(worker, 9).await;
    assert_eq!(own.iter().map(|batch| batch.account.as_str()).collect::<Vec<_>>(), [ACCOUNT]);
    let of_paris = Claims { account: PARIS, ..claims(worker, 9, FREE) };
    let turn = db.store.turn(&[], Some(&of_paris), &db.clock).await.expect("asked");
    let Some(Claim::Batches(of_paris)) = turn else { panic!("{turn:?}") };
    assert_eq!(of_paris.len(), 1);
    // One account's loop broke off: what this worker has under way for the other is not touched.
    assert_eq!(db.store.give_up_claims(worker, ACCOUNT, Kind::Members, db.now()).await.expect("written"), 1);
    let open = "select account from attempts where verdict is null";
    assert_eq!(db.rows(open).await, [["paris"]]);
    db.deliver(&of_paris[0]).await;

    let run = |account| NewRun {
        account,
        kind: Kind::Members,
        source: RunSource::Folder,
        trigger: Trigger::Folder,
        fire: None,
        verify: Verify::None,
        planned: false,
        label: "list.csv",
        now: db.now(),
    };
    for account in [ACCOUNT, PARIS] {
        let file = lumasync::store::NewFile {
            identity: account,
            sha256: "00",
            size: 1,
            name: account,
            path: account,
            extra_tags: "",
            parts: 1,
            shape: "",
        };
        db.store.begin_file(run(account), &file).await.expect("entered");
    }
    let files = db.store.folder_files(PARIS).await.expect("read");
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), [PARIS]);
}
