//! A simulated year in three zones, held against a list that was made without any of our code.

use lumasync::clock::Time;
use lumasync::domain::cron::{Cron, Timetable};
use sha2::{Digest as _, Sha256};

const EXPECTED: &str = include_str!("timetables/expected.txt");

/// What is expected of one expression in one zone.
struct Year {
    zone: &'static str,
    cron: &'static str,
    count: usize,
    digest: &'static str,
    /// Around changes of the clocks.
    odd: Vec<&'static str>,
}

fn years() -> Vec<Year> {
    let mut years: Vec<Year> = Vec::new();
    for line in EXPECTED.lines().filter(|line| !line.starts_with('#')) {
        match line.split(" | ").collect::<Vec<_>>().as_slice() {
            &[zone, cron, count, digest] => {
                let count = count.parse().expect("a number");
                years.push(Year { zone, cron, count, digest, odd: Vec::new() });
            }
            _ => years.last_mut().expect("a head before its moments").odd.push(line.trim()),
        }
    }
    years
}

fn due(year: &Year) -> Vec<String> {
    let table = Timetable::new(Cron::parse(year.cron).expect(year.cron), year.zone).expect(year.zone);
    let [begin, end] = ["2025-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"]
        .map(|text| Time::parse(text).expect("a moment"));
    let moments = table.moments(begin).take_while(|moment| *moment < end);
    moments.map(|moment| format!("{}Z", &moment.to_string()[..16])).collect()
}

#[test]
fn every_moment_of_a_year_is_the_expected_one() {
    let years = years();
    assert_eq!(years.len(), 30);
    for year in years {
        let (due, what) = (due(&year), format!("`{}` in {}", year.cron, year.zone));
        // The odd ones first: what fails there says why.
        for odd in &year.odd {
            assert!(due.iter().any(|moment| moment == odd), "{what} misses {odd}");
        }
        assert_eq!(due.len(), year.count, "{what}");
        let lines = format!("{}\n", due.join("\n"));
        let digest =
            Sha256::digest(lines).iter().fold(String::new(), |digest, byte| digest + &format!("{byte:02x}"));
        assert_eq!(digest, year.digest, "{what}");
    }
}
