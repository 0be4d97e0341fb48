//! What is written for containers and systemd names files that exist and commands that are understood.
//!
//! Neither runs here: this holds only what can be read. Alerts are tried out, where `promtool` is installed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Binary, Ended, Scratch};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// What follows this word on each line that begins with it.
fn after<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(word)).map(str::trim).collect()
}

/// A list as Dockerfile and Compose write it.
fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// Whether the arguments of a command are understood; what it does is not done.
fn help(arguments: &[String]) -> Ended {
    Binary::new(&Scratch::new(), arguments.iter().map(String::as_str).chain(["--help"])).run()
}

/// The names of `credential:NAME` in a text.
fn credentials(text: &str) -> Vec<&str> {
    let found = text.split("credential:").skip(1);
    found.map(|rest| rest.split('"').next().unwrap_or(rest)).collect()
}

#[test]
fn the_image_is_built_from_what_is_there_and_reaches_the_builder() {
    let (dockerfile, ignored) = (text("Dockerfile"), text(".dockerignore"));
    let mut copied = Vec::new();
    for words in after(&dockerfile, "COPY ").iter().filter(|words| !words.starts_with("--from")) {
        let words: Vec<&str> = words.split(' ').collect();
        copied.extend(words[..words.len() - 1].iter().map(|word| (*word).to_owned()));
    }
    assert!(copied.contains(&"migrations".to_owned()), "{copied:?}");
    for name in &copied {
        assert!(root().join(name).exists(), "`{name}`");
        assert!(ignored.lines().any(|line| line == format!("!{name}")), "`{name}` is kept from the builder");
    }
    // A file that the source holds has to be copied too.
    let embedded = ["config", "migrations", "benches"];
    assert!(embedded.iter().all(|name| copied.iter().any(|copied| copied == name)), "{copied:?}");
    let manifest = text("Cargo.toml");
    let rust = after(&manifest, "rust-version =")[0].trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{rust}-")), "the image builds with Rust {rust}");
    let user = after(&dockerfile, "USER ");
    assert!(user.len() == 1 && !user[0].starts_with('0') && user[0] != "root", "{user:?}");
}

#[test]
fn commands_of_the_container_are_understood() {
    let (dockerfile, compose) = (text("Dockerfile"), text("docker-compose.yml"));
    let entry = list(after(&dockerfile, "ENTRYPOINT ")[0]);
    assert_eq!(entry.len(), 1, "{entry:?}");
    let mut commands: Vec<Vec<String>> = after(&dockerfile, "CMD ").into_iter().map(list).collect();
    for command in &mut commands {
        // That of the health check names the program itself.
        command.retain(|word| *word != entry[0]);
    }
    commands.extend(after(&compose, "command:").into_iter().map(list));
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in &commands {
        help(command).with_code(0);
    }
    help(&["status".to_owned(), "--asleep".to_owned()]).with_code(2);
}

#[test]
fn compose_names_files_that_exist_and_secrets_that_are_read() {
    let (compose, config) = (text("docker-compose.yml"), text("deploy/lumasync.toml"));
    let mounted = compose.split("- ./").skip(1).filter_map(|rest| rest.split(':').next());
    let mounted: Vec<PathBuf> = mounted.map(|path| root().join(path)).collect();
    assert!(!mounted.is_empty() && mounted.iter().all(|path| path.exists()), "{mounted:?}");
    let sandbox = text("deploy/sandbox.env");
    let key = after(&sandbox, "LUMA_API_KEY_FILE=")[0];
    assert_eq!(fs::read_to_string(root().join(key)).expect("a key").trim(), "sandbox-key");
    for name in credentials(&config).into_iter().chain(credentials(&compose)) {
        assert!(compose.contains(&format!("\n  {name}:\n    file: ")), "no secret `{name}`");
    }
    // What somebody fills in is not committed.
    let ignored = text(".gitignore");
    let secrets = after(&compose, "file: deploy/");
    assert!(secrets.iter().all(|path| path.starts_with("secrets/")) && ignored.contains("/deploy/secrets"));
}

#[test]
fn the_unit_runs_a_command_that_is_understood_with_the_credentials_that_are_read() {
    let (unit, config) = (text("deploy/lumasync.service"), text("deploy/lumasync.toml"));
    let started: Vec<String> = after(&unit, "ExecStart=")[0].split(' ').map(str::to_owned).collect();
    assert!(started[0].ends_with("/lumasync"), "{started:?}");
    help(&started[1..]).with_code(0);
    let loaded = after(&unit, "LoadCredential=");
    for name in credentials(&config) {
        assert!(loaded.iter().any(|loaded| loaded.starts_with(&format!("{name}:"))), "{name} of {loaded:?}");
    }
    let user = after(&unit, "User=")[0];
    assert!(text("deploy/lumasync.sysusers.conf").starts_with(&format!("u {user} ")));
    let codes: Vec<&str> = after(&unit, "RestartPreventExitStatus=")[0].split(' ').collect();
    assert_eq!(codes, ["2", "78"], "what no restart mends");
}

#[test]
fn the_configuration_for_both_is_sound() {
    let scratch = Scratch::new();
    for name in credentials(&text("deploy/lumasync.toml")) {
        scratch.write(&format!("credentials/{name}"), "s3cret\n");
    }
    scratch.write("lumasync.toml", text("deploy/lumasync.toml"));
    scratch.write("credentials/database_url", "postgres://lumasync:s3cret@postgres/lumasync\n");
    let check = || Binary::new(&scratch, ["check"]).env("CREDENTIALS_DIRECTORY", scratch.path("credentials"));
    check().run().with_code(0);
    let compose = text("docker-compose.yml");
    let url = after(&compose, "LUMASYNC__DATABASE__URL:")[0].trim_matches('"');
    let in_container = check().env("LUMASYNC__DATABASE__URL", url).run().with_code(0);
    assert!(!in_container.stderr.contains("s3cret"), "{in_container}");
}

#[test]
fn alerts_call_somebody_when_they_should_and_at_no_other_time() {
    let rules = text("deploy/alerts.yml");
    let tested = text("deploy/alerts_test.yml");
    let alerts = after(&rules, "- alert:");
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in alerts {
        assert!(tested.contains(&format!("alertname=\"{alert}\"")), "`{alert}` is not seen to call anybody");
    }
    let tried = ["test", "rules", "alerts_test.yml"];
    match Command::new("promtool").args(tried).current_dir(root().join("deploy")).output() {
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "note: alerts are not tried out: `promtool`: {error}");
        }
        Ok(tried) => assert!(tried.status.success(), "{tried:?}"),
    }
}
