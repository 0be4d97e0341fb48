//! Expressions as people write them, and the moments they mean on ordinary and on odd days.

use proptest::prelude::*;

use super::*;
use crate::clock::Time;

fn timetable(cron: &str, zone: &str) -> Timetable {
    Timetable::new(Cron::parse(cron).expect(cron), zone).expect(zone)
}

fn time(text: &str) -> Time {
    Time::parse(text).expect(text)
}

/// The next moments, as `03-29T01:00` in UTC.
fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let table = timetable(cron, zone);
    let moments = table.moments(time(after)).take(count);
    moments.map(|moment| moment.to_string()[5..16].to_owned()).collect()
}

#[test]
fn fields_are_read_as_cron_writes_them() {
    for (short, long) in [
        ("*/20 * * * *", "0,20,40 * * * *"),
        ("5-20/5 1 * * *", "5,10,15,20 1 * * *"),
        ("0 0 * JAN,mar-May *", "0 0 * 1,3,4,5 *"),
        ("0 0 * * mon-fri", "0 0 * * 1-5"),
        ("0 0 * * 7", "0 0 * * sun"),
        ("0 0 * * sat-sun", "0 0 * * 0,6"),
        ("0 0 * * 5-7", "0 0 * * fri,sat,sun"),
        ("  0\t0 * *  *  ", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 jan *"),
    ] {
        assert_eq!(Cron::parse(short).expect(short), Cron::parse(long).expect(long), "{short}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    for (text, said) in [
        ("", "there is nothing in it"),
        ("0 3 * *", "there are 4 fields, and five are needed"),
        ("0 0 3 * * *", "there are 6 fields, and five are needed: seconds and years are not taken"),
        ("@reboot", "`@reboot` is no word for a time"),
        ("60 * * * *", "minute `60` is not from 0 to 59"),
        ("0 24 * * *", "hour `24` is not from 0 to 23"),
        ("0 0 0 * *", "day of month `0` is not from 1 to 31"),
        ("0 0 * 13 *", "month `13` is not from 1 to 12"),
        ("0 0 * * 8", "day of week `8` is not from 0 to 7"),
        ("0 0 * * 999", "day of week `999` is not from 0 to 7"),
        ("0 0 * janu *", "month `janu` is no number"),
        ("0 0 mon * *", "day of month `mon` is no number"),
        ("-5 * * * *", "minute has nothing between its signs"),
        ("1,,2 * * * *", "minute has nothing between its signs"),
        ("+5 * * * *", "minute `+5` is no number"),
        ("20-10 * * * *", "minute `20-10` ends before it begins"),
        ("0 0 * * fri-mon", "day of week `fri-mon` ends before it begins"),
        ("*/0 * * * *", "minute `*/0` steps by nothing"),
        ("*/90 * * * *", "minute `*/90` steps by 90, which is beyond its last number"),
        ("*/x * * * *", "minute `*/x` steps by what is no number"),
        ("5/10 * * * *", "minute `5/10` steps from a number without an end"),
        ("0 0 30 2 *", "day of month `30` does not occur in month `2`"),
        ("0 0 31 apr,jun *", "day of month `31` does not occur in month `apr,jun`"),
    ] {
        let error = Cron::parse(text).expect_err(text);
        assert_eq!(error.message, said, "{text}");
        assert!(error.hint.starts_with("write "), "{error}");
    }
}

#[test]
fn either_day_is_enough_where_both_are_restricted_and_both_are_needed_where_one_is_not() {
    let either = next("0 12 13 * fri", "UTC", "2026-02-01T00:00:00Z", 5);
    assert_eq!(either, ["02-06T12:00", "02-13T12:00", "02-20T12:00", "02-27T12:00", "03-06T12:00"]);
    let both = next("0 12 */2 * mon", "UTC", "2026-02-01T00:00:00Z", 3);
    assert_eq!(both, ["02-09T12:00", "02-23T12:00", "03-09T12:00"], "odd days that are Mondays");
}

#[test]
fn a_time_that_spring_leaves_out_comes_once_right_after_it() {
    let eve = "2026-03-28T12:00:00Z";
    assert_eq!(next("30 2 * * *", "Europe/Paris", eve, 2), ["03-29T01:00", "03-30T00:30"]);
    // All of them at once, and with what is due then anyway.
    assert_eq!(next("*/15 2,3 * * *", "Europe/Paris", eve, 3), ["03-29T01:00", "03-29T01:15", "03-29T01:30"]);
    assert_eq!(
        next("0 */2 * * *", "Europe/Paris", "2026-03-28T23:30:00Z", 2),
        ["03-29T01:00", "03-29T02:00"]
    );
}

#[test]
fn a_time_that_autumn_repeats_comes_at_its_first_pass() {
    let eve = "2026-10-24T12:00:00Z";
    assert_eq!(next("30 2 * * *", "Europe/Paris", eve, 2), ["10-25T00:30", "10-26T01:30"]);
    assert_eq!(next("30 2 * * *", "Europe/Paris", "2026-10-25T01:10:00Z", 1), ["10-26T01:30"]);
    assert_eq!(
        next("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
        ["11-01T05:30", "11-02T06:30"]
    );
}

#[test]
fn a_pace_goes_on_by_real_time() {
    let quarter = ["10-25T00:45", "10-25T01:00", "10-25T01:15", "10-25T01:30", "10-25T01:45", "10-25T02:00"];
    assert_eq!(next("*/15 * * * *", "Europe/Paris", "2026-10-25T00:30:00Z", 6), quarter);
    let hourly = ["03-29T00:30", "03-29T01:30", "03-29T02:30"];
    assert_eq!(next("30 * * * *", "Europe/Paris", "2026-03-29T00:00:00Z", 3), hourly);
    let hourly = ["10-25T00:30", "10-25T01:30", "10-25T02:30"];
    assert_eq!(next("30 * * * *", "Europe/Paris", "2026-10-25T00:00:00Z", 3), hourly, "both passes");
}

#[test]
fn odd_gaps_and_repetitions_are_met() {
    // Half an hour, at 02:00.
    assert_eq!(next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 1), ["10-03T15:30"]);
    // Midnight does not exist.
    assert_eq!(next("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2), ["04-23T22:00", "04-24T21:00"]);
    // A whole day does not.
    assert_eq!(next("0 3 30 12 *", "Pacific/Apia", "2011-12-29T20:00:00Z", 1), ["12-30T10:00"]);
    // Clocks go back over midnight, to a day that is meant.
    let back = next("0 * 17 2 *", "America/Sao_Paulo", "2018-02-18T00:30:00Z", 3);
    assert_eq!(back, ["02-18T01:00", "02-18T02:00", "02-17T03:00"]);
}

#[test]
fn rare_days_are_found_and_time_has_an_end() {
    assert_eq!(
        timetable("0 0 29 2 *", "UTC").next_after(time("2096-03-01T00:00:00Z")),
        Some(time("2104-02-29T00:00:00Z"))
    );
    assert_eq!(
        timetable("0 0 29 2 */6", "UTC").next_after(time("2088-03-01T00:00:00Z")),
        Some(time("2116-02-29T00:00:00Z"))
    );
    assert_eq!(timetable("* * * * *", "UTC").next_after(Time::from_micros(i64::MAX)), None);
    assert_eq!(timetable("0 0 1 1 *", "UTC").next_after(time("9999-06-01T00:00:00Z")), None);
}

#[test]
fn the_last_of_several_is_found_and_the_others_are_counted() {
    let daily = timetable("0 3 * * *", "UTC");
    let within = |after, until| daily.last_within(time(after), time(until));
    let day = time("2026-01-04T03:00:00Z");
    assert_eq!(within("2026-01-01T03:00:00Z", "2026-01-04T03:00:00Z"), Some((day, 2)));
    assert_eq!(within("2026-01-04T02:59:59Z", "2026-01-05T02:59:59Z"), Some((day, 0)));
    assert_eq!(within("2026-01-04T03:00:00Z", "2026-01-05T02:59:59Z"), None);
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "[-*/,0-9a-z@ ]{0,24}") {
        if let Ok(cron) = Cron::parse(&text) {
            let table = Timetable::new(cron, "Europe/Paris").expect("a zone");
            let now = time("2026-03-28T12:00:00Z");
            prop_assert!(table.next_after(now).expect("within our time") > now);
        }
    }

    #[test]
    fn moments_only_move_forward(start in 0_i64..2_000_000_000, cron in 0_usize..4, zone in 0_usize..4) {
        let cron = ["*/7 * * * *", "*/20 0-3 * * *", "30 2 * * sun", "59 23,0 * 3,4,10,11 *"][cron];
        let zone = ["Europe/Paris", "America/Havana", "Australia/Lord_Howe", "Africa/Monrovia"][zone];
        let table = timetable(cron, zone);
        let mut last = Time::from_micros(start * 1_000_000);
        for moment in table.moments(last).take(40) {
            prop_assert!(moment > last);
            last = moment;
        }
    }
}
