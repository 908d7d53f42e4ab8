# The two commands a newcomer needs: `make run` and `make test`.
.PHONY: run test setup bench fleet lab fuzz static deb container

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

# What is deployed is one static binary: nothing of the machine it runs on is needed (deploy/README.md).
PROFILE ?= release
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
STATIC := target/$(HOST)/$(patsubst dev,debug,$(PROFILE))/vnetprobe
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# Without --target the flag would reach the procedural macros, which cannot be static.
static:
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile $(PROFILE) --target $(HOST)
	@echo $(STATIC)

# target/debian/vnetprobe_VERSION_ARCHITECTURE.deb
deb: static
	cargo deb --locked --no-build --target $(HOST) --profile $(PROFILE) --deb-version $(VERSION) --output target/debian/

# The image vnetprobe:VERSION in the local storage of buildah.
container: static
	buildah build --build-arg BINARY=$(STATIC) --tag vnetprobe:$(VERSION) --file deploy/Containerfile .
