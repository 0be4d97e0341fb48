//! Accounts beside `main`: what they take over, what must be their own, and how a slip is told.

use super::*;

const PARIS: &str = "[accounts.paris]\napi_key = \"env:PARIS\"\n";

fn with_paris(text: &str) -> Result<Config, ConfigError> {
    load_with(&format!("{LUMA}{text}"), |sources| set(sources, "PARIS", "0ther"))
}

fn wrong(text: &str) -> Vec<String> {
    let error = with_paris(text).expect_err("refused");
    assert!(!error.to_string().contains("s3cret") && !error.to_string().contains("0ther"), "{error}");
    error.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_an_account_leaves_out_is_that_of_luma() {
    let config = with_paris(&format!(
        "timeout = \"7s\"\nmax_in_flight = 2\n[luma.rate_limit]\nrequests = 100\nreserve = 2\n[tags]\nvip = \"tag-1\"\n\
         {PARIS}timeout = \"9s\"\nrate_limit = {{ requests = 30 }}\ntags = {{ vip = \"tag-2\" }}\n\
         [accounts.lyon]\napi_key = \"env:LYON\"\n"
    ));
    let missing = config.expect_err("refused");
    assert!(
        missing.to_string().contains("`accounts.lyon.api_key` names the environment variable `LYON`"),
        "{missing}"
    );

    let config = with_paris(&format!(
        "timeout = \"7s\"\nmax_in_flight = 2\n[luma.rate_limit]\nrequests = 100\nreserve = 2\n[tags]\nvip = \"tag-1\"\n\
         {PARIS}timeout = \"9s\"\nrate_limit = {{ requests = 30 }}\n[accounts.paris.tags]\nVIP = \"tag-2\"\n"
    ));
    let config = config.expect("sound");
    let [main, paris] = config.accounts().collect::<Vec<_>>().try_into().expect("two");
    assert_eq!((main.name.as_str(), paris.name.as_str()), ("main", "paris"));
    let seconds = Duration::from_secs;
    assert_eq!((main.luma.timeout, paris.luma.timeout), (seconds(7), seconds(9)));
    assert_eq!((main.luma.max_in_flight, paris.luma.max_in_flight), (2, 2));
    assert_eq!((main.luma.api_key.expose_secret(), paris.luma.api_key.expose_secret()), ("s3cret", "0ther"));
    let limit = RateLimit { requests: 30, window: seconds(60), reserve: 2, per_second: 20 };
    assert_eq!(paris.luma.rate_limit, limit);
    let tag = |account: &Account, name| account.tags.resolve(name).map(|tag| tag.as_str().to_owned()).ok();
    assert_eq!((tag(&main, "vip"), tag(&paris, "vip")), (Some("tag-1".into()), Some("tag-2".into())));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert!(!format!("{config:?}").contains("0ther"));
}

#[test]
fn variables_and_flags_reach_into_an_account() {
    let text = format!("{LUMA}{PARIS}[accounts.paris.tags]\nVip = \"tag-2\"\n");
    let config = load_with(&text, |sources| {
        set(sources, "PARIS", "0ther");
        set(sources, "ELSEWHERE", "third");
        set(sources, "LUMASYNC__ACCOUNTS__PARIS__API_KEY", "env:ELSEWHERE");
        set(sources, "LUMASYNC__ACCOUNTS__PARIS__RATE_LIMIT__REQUESTS", "50");
        set(sources, "LUMASYNC__ACCOUNTS__PARIS__TAGS__VIP", "tag-9");
        sources.overrides.push(("accounts.paris.timeout".into(), "3s".into()));
    });
    let paris = config.expect("sound").account("paris").expect("there");
    assert_eq!(paris.luma.api_key.expose_secret(), "third");
    assert_eq!((paris.luma.rate_limit.requests, paris.luma.timeout), (50, Duration::from_secs(3)));
    assert_eq!(paris.tags.resolve_cell("vip").expect("known").to_string(), "tag-9");
}

#[test]
fn every_problem_of_an_account_is_told_at_once() {
    let found = wrong(
        "[accounts]\nrome = 5\n[accounts.main]\napi_key = \"env:PARIS\"\n[accounts.Lyon]\napi_key = \"env:PARIS\"\n\
         [accounts.\"a/b\"]\napi_key = \"env:PARIS\"\n\
         [accounts.nice]\ntimout = \"3s\"\nbase_url = \"http://example.org\"\nrate_limit = { requests = 5 }\n\
         [accounts.nice.tags]\nvip = \"vip\"\n",
    );
    let all = found.join("\n");
    for said in [
        "`accounts.rome` is a section, not a single value",
        "`accounts.main` is the account of `[luma]`",
        "write `[accounts.lyon]`",
        "`accounts.a/b` is no name for an account",
        "`accounts.nice.api_key` is missing",
        "`accounts.nice.base_url` must begin with `https://`",
        "`accounts.nice.rate_limit.reserve` is `5`, which leaves nothing of `requests` (`5`)",
        "`accounts.nice.tags.vip` is `vip`, which is no tag id",
        "`accounts.nice.timout` is not a key of lumasync\nhint: did you mean `accounts.nice.timeout`?",
    ] {
        assert!(all.contains(said), "{said}\n{all}");
    }
    let section = wrong("[acounts.paris]\napi_key = \"env:PARIS\"\n").join("\n");
    assert!(section.contains("did you mean `accounts`?"), "{section}");
}

#[test]
fn what_is_wrong_for_every_account_is_told_once() {
    let found = wrong(&format!("timeout = \"soon\"\n{PARIS}[accounts.lyon]\napi_key = \"env:PARIS\"\n"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("`luma.timeout` is `soon`"), "{found:?}");
}

#[test]
fn one_key_for_two_accounts_is_warned_about() {
    for (key, secret) in [("env:LUMA_API_KEY", "0ther"), ("env:PARIS", "s3cret")] {
        let text = format!("{LUMA}[accounts.paris]\napi_key = \"{key}\"\n");
        let config = load_with(&text, |sources| set(sources, "PARIS", secret)).expect("sound");
        let said = config.warnings.join("\n");
        assert!(said.contains("`accounts.paris.api_key` is the key of `luma.api_key` too"), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn where_luma_is_not_asked_no_key_is_needed() {
    let text = "[accounts.paris]\ntimeout = \"3s\"\n";
    let config = load_with(text, |sources| sources.luma_required = false).expect("sound");
    assert_eq!(config.account("paris").expect("there").luma.timeout, Duration::from_secs(3));
    assert_eq!(config.warnings, Vec::<String>::new());
}
