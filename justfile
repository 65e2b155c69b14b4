# The commands of everyday work; `just` alone lists them.

[private]
default:
    @just --list

# Build and start the marketplace
run *flags:
    ./run {{flags}}

# Every test
test:
    ./test

# What is quick enough for every save: format, lints, borders, unit tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace --lib
    cargo test --test tidy

# Format everything
fmt:
    cargo fmt --all

# Random commands for the market, judged by the auditor: just sim --seed 7 --steps 100000
sim *flags:
    cargo run --release -p simulator -- {{flags}}

# The figures of docs/BENCHMARKS.md
bench:
    cargo bench
    cargo bench -p market --bench book

# Bugs planted on purpose, each of which some tests must find: just mutants [NAME…]
mutants *names:
    scripts/mutants.sh {{names}}

# What comes from outside, made wrong on purpose, each kind for so long; needs cargo-fuzz and nightly
fuzz seconds="600":
    for target in json_line rule_file csv_rows api_body; do \
        mkdir -p target/fuzz/$target && \
        cargo +nightly fuzz run -s none $target target/fuzz/$target fuzz/corpus/$target -- \
            -max_total_time={{seconds}} -max_len=16384 || exit 1; \
    done

# What takes longer than ./test may: a hundred kills of the leader, fifty million commands, fuzzing
soak: && fuzz
    SLUICE_KILLS=100 cargo test --test journeys kills:: -- --nocapture
    cargo run --release -p simulator -- --seeds 5000 --steps 2500
