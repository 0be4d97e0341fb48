//! Every row comes back once, in the order of the ledger, however the input was divided.

use proptest::prelude::*;

use super::*;

#[test]
fn parts_cover_every_hash_once() {
    for parts in [1, 2, 16, 1_024] {
        let mut next = i64::MIN;
        for part in 0..parts {
            let (from, to) = hash_range(part, parts);
            assert_eq!(from, next, "part {part} of {parts}");
            assert_eq!((part_of(from, parts), part_of(to, parts)), (part as usize, part as usize));
            next = to.wrapping_add(1);
        }
        assert_eq!(next, i64::MIN, "the last part ends where the first begins");
    }
    assert_eq!((parts_for(0), parts_for(PART_BYTES * 5), parts_for(u64::MAX / 2)), (1, 8, 1_024));
}

proptest! {
    #[test]
    fn every_row_comes_back_once_and_sorted(
        rows in prop::collection::vec((any::<i64>(), "[a-z]{0,12}", "\\PC{0,8}"), 0..200)
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = SpillWriter::new(4, dir.path());
        for (line, (hash, email, name)) in rows.iter().enumerate() {
            writer.push(*hash, line as u64, 7, email, name).expect("taken");
            writer.push_bad(line as u64, Code::EmailInvalid, email, name).expect("taken");
            if line % 50 == 49 {
                for part in 0..4 {
                    writer.flush(part).expect("written");
                }
            }
        }
        let spill = writer.finish();
        let mut seen = vec![false; rows.len()];
        let mut bad = 0;
        for number in 0..4 {
            let part = spill.load(number).expect("read");
            let rows_of_part = || (0..part.len()).map(|place| part.row(place));
            prop_assert!(rows_of_part().map(|row| (row.hash, row.line)).is_sorted());
            for row in rows_of_part() {
                let line = usize::try_from(row.line).expect("small");
                let (hash, email, name) = &rows[line];
                prop_assert_eq!((row.hash, row.email(), row.name()), (*hash, email.as_str(), name.as_str()));
                prop_assert!(!std::mem::replace(&mut seen[line], true));
            }
            bad += part.bad().len();
        }
        prop_assert!(seen.iter().all(|seen| *seen));
        prop_assert_eq!(bad, rows.len());
    }

    #[test]
    fn joined_parts_hold_the_hashes_of_as_many_larger_ones(hashes in prop::collection::vec(any::<i64>(), 0..200)) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut writer = SpillWriter::new(16, dir.path());
        for (line, hash) in hashes.iter().enumerate() {
            writer.push(*hash, line as u64, 0, "a@x.org", "").expect("taken");
            if line % 40 == 39 {
                (0..16).try_for_each(|part| writer.flush(part)).expect("written");
            }
        }
        let spill = writer.finish_in(4);
        prop_assert_eq!(spill.parts(), 4);
        let mut found = Vec::new();
        for number in 0..4 {
            let (from, to) = hash_range(number, 4);
            let part = spill.load(number).expect("read");
            prop_assert!(part.hashes().all(|hash| (from..=to).contains(&hash)));
            found.extend(part.hashes());
        }
        let mut sorted = hashes.clone();
        sorted.sort_unstable();
        prop_assert_eq!(found, sorted);
    }
}
