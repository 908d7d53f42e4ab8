# The two commands a newcomer needs: `make run` and `make test`.
.PHONY: run test setup bench fleet lab fuzz

run:
	cargo run --release --locked -- serve

# Installs what the tests need (apt, cargo-deny) and runs every check there is.
test: setup
	scripts/test

setup:
	scripts/setup

# Figures that are printed, not asserted.
bench:
	cargo bench --locked

# A hundred daemons and one Prometheus in a namespace: the figures of docs/fleet.md, a quarter of an hour.
fleet: setup
	cargo build --release --locked
	scripts/fleet

# Brings a world of the lab up and opens a shell on its client: make lab WORLD=five-faults.
WORLD ?= healthy
lab: setup
	cargo test --locked --test lab -- play $(WORLD)

# Every reader of strangers' bytes, FUZZ_SECONDS (60) each; needs nightly and cargo-fuzz.
fuzz:
	scripts/fuzz
