//! What is on the disk decides how an upload stands: over kills, second hands, clocks, and strangers' files.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const NOW: Time = Time::from_micros(1_795_370_400_000_000);

fn staging() -> (tempfile::TempDir, Staging) {
    let root = tempfile::tempdir().expect("a folder");
    Layout::new(root.path()).create().expect("folders");
    let staging = Staging { root: root.path().to_owned() };
    (root, staging)
}

fn word(number: u8) -> String {
    format!("{number:064x}")
}

fn stage(staging: &Staging, number: u8, name: &str, text: &str) -> Staged {
    let mut receiving = staging.begin(&word(number)).expect("begun");
    receiving.write(text.as_bytes()).expect("written");
    receiving.finish(name, Kind::Members, NOW).expect("whole")
}

fn uploads(staging: &Staging) -> usize {
    staging.words().expect("a list").len()
}

#[test]
fn a_file_that_came_is_private_and_known_again_by_its_word() {
    let (_root, staging) = staging();
    let staged = stage(&staging, 1, "../Größe.csv", "email\n");
    assert_eq!((staged.name.as_str(), staged.size, staged.is_sent), ("Größe.csv", 6, false));
    assert_eq!(staged.sha256, hexadecimal(&Sha256::digest(b"email\n")));
    assert_eq!(staging.find(&staged.word).as_ref(), Some(&staged));
    let path = staging.path(&staged);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    for odd in ["", "..", "../members", &word(2), &format!("{}/..", word(1)), &word(1).to_uppercase()[..63]] {
        assert_eq!(staging.find(odd), None, "{odd}");
    }
}

#[test]
fn whoever_comes_second_finds_it_sent_or_gone() {
    let (root, staging) = staging();
    let [one, two] =
        [1, 2].map(|number| stage(&staging, number, "list.csv", &format!("email\n{number}@x.org\n")));
    assert_eq!(staging.send(&one).expect("sent"), Wished::Done);
    assert_eq!(staging.send(&two).expect("sent"), Wished::Done);
    for name in ["list.csv", "list-2.csv"] {
        assert!(root.path().join("members").join(name).exists(), "{name}");
    }
    for again in [staging.send(&one), staging.discard(&one)] {
        assert_eq!(again.expect("no error"), Wished::SentBefore);
    }
    let found = staging.find(&two.word).expect("remembered");
    assert_eq!((found.is_sent, found.sent_as.as_deref()), (true, Some("list-2.csv")));
    let third = stage(&staging, 3, "list.csv", "email\n");
    assert_eq!(staging.discard(&third).expect("gone"), Wished::Done);
    assert_eq!(staging.send(&third).expect("no error"), Wished::Gone);
    assert_eq!(fs::read_dir(root.path().join("members")).expect("a folder").count(), 2);
}

#[test]
fn what_is_over_goes_and_what_is_anybody_elses_stays() {
    let (root, staging) = staging();
    let old = stage(&staging, 1, "old.csv", "email\n");
    let sent = stage(&staging, 2, "sent.csv", "email\n");
    staging.send(&sent).expect("sent");
    assert_eq!(staging.tidy(NOW.plus(WAITS.saturating_sub(Duration::from_secs(1)))).expect("tidied"), 0);
    let foreign = root.path().join(FOLDER).join(word(3));
    fs::create_dir(&foreign).expect("a folder");
    fs::write(foreign.join("theirs.csv"), "email\n").expect("written");
    fs::write(root.path().join(FOLDER).join("list.csv"), "email\n").expect("written");
    assert_eq!(staging.tidy(NOW.plus(WAITS)).expect("tidied"), 1);
    assert_eq!((staging.find(&old.word), staging.find(&sent.word).is_some()), (None, true));
    assert_eq!(staging.tidy(NOW.plus(REMEMBERED)).expect("tidied"), 1);
    assert!(foreign.join("theirs.csv").exists() && root.path().join(FOLDER).join("list.csv").exists());
    assert!(root.path().join("members/sent.csv").exists());
}

#[test]
fn what_a_kill_leaves_goes_at_the_next_look_and_what_is_written_to_stays() {
    let (_root, staging) = staging();
    let mut receiving = staging.begin(&word(1)).expect("begun");
    receiving.write(b"email\n").expect("written");
    assert_eq!((staging.tidy(NOW).expect("tidied"), uploads(&staging)), (0, 1));
    // As a kill leaves them: nothing, a part, a part with its note.
    for (number, files) in [(2, &[][..]), (3, &[PART]), (4, &[PART, NOTE]), (5, &[".note.json.part"])] {
        let dir = staging.dir(&word(number));
        fs::create_dir(&dir).expect("a folder");
        for file in files {
            fs::write(dir.join(file), "{\"name\": \"a.csv\"}").expect("written");
        }
    }
    assert_eq!((staging.tidy(NOW).expect("tidied"), uploads(&staging)), (4, 1));
    receiving.finish("list.csv", Kind::Events, NOW).expect("whole");
    assert_eq!((staging.tidy(NOW).expect("tidied"), staging.list().expect("a list").len()), (0, 1));
    drop(staging.begin(&word(6)).expect("begun"));
    assert_eq!(uploads(&staging), 1, "broken off");
}

#[test]
fn without_its_drop_folder_nothing_is_made() {
    let (root, staging) = staging();
    fs::remove_dir_all(root.path()).expect("gone");
    assert_eq!(staging.begin(&word(1)).expect_err("no folder").kind(), io::ErrorKind::NotFound);
    assert!(staging.list().expect("nothing").is_empty() && staging.tidy(NOW).expect("nothing") == 0);
    assert!(!root.path().exists());
}

#[test]
fn whoever_is_told_that_it_is_sent_finds_it_in_the_folder_also_where_somebody_discards_it() {
    let (root, staging) = staging();
    for number in 0..60 {
        let staged = stage(&staging, number, &format!("list{number}.csv"), "email\n");
        let (sends, takes) = std::thread::scope(|scope| {
            let wish = |act: fn(&Staging, &Staged) -> io::Result<Wished>| {
                let (staging, staged) = (&staging, &staged);
                scope.spawn(move || act(staging, staged).expect("an answer"))
            };
            let sends: Vec<_> = (0..3).map(|_| wish(Staging::send)).collect();
            let takes: Vec<_> = (0..3).map(|_| wish(Staging::discard)).collect();
            let all = |threads: Vec<std::thread::ScopedJoinHandle<'_, Wished>>| {
                threads.into_iter().map(|thread| thread.join().expect("ended")).collect::<Vec<_>>()
            };
            (all(sends), all(takes))
        });
        let is_there = root.path().join(format!("members/list{number}.csv")).exists();
        let was_sent = |wished: &Wished| *wished == Wished::SentBefore;
        assert_eq!(sends.contains(&Wished::Done), is_there, "{number}: {sends:?} {takes:?}");
        assert_eq!(takes.contains(&Wished::Done), !is_there, "{number}: {sends:?} {takes:?}");
        if !is_there {
            assert!(!sends.iter().chain(&takes).any(was_sent), "{number}: {sends:?} {takes:?}");
            assert_eq!(staging.find(&staged.word), None);
        }
    }
}
