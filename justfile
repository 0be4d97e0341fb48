# Lists the recipes.
_default:
    @just --list

# Formatting, lints and documentation; runs nothing.
check:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Every test, or those whose name holds a word: just test quota
test *words:
    cargo test --locked {{ words }}

# All that a change must pass.
ci:
    bash .ci/run

# What the performance claims rest on.
bench *args:
    cargo bench --locked {{ args }}

# The service with the built-in Luma in place of the configured one.
run-sandbox *args:
    cargo run --release --locked -- run --sandbox {{ args }}
