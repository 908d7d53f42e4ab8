# The two commands a newcomer needs: `make run` and `make test`.
.PHONY: run test setup bench soak fleet lab fuzz static deb image container windows

run:
	cargo run --release --locked -- serve

# Installs what the tests need (apt, cargo-deny) and runs every check there is.
test: setup
	scripts/test

setup:
	scripts/setup

# The figures of docs/benchmarks.md: measured, never asserted (needs root and blackbox_exporter).
bench:
	cargo bench --locked

# One daemon for hours while the lab's faults come and go; writes docs/soak.svg and its section of docs/benchmarks.md.
MINUTES ?= 130
soak: setup
	cargo test --release --locked --test lab -- soak $(MINUTES)

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
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
STATIC := $(TARGET_DIR)/$(HOST)/$(patsubst dev,debug,$(PROFILE))/vnetprobe
VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# Without --target the flag would reach the procedural macros, which cannot be static.
static:
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile $(PROFILE) --target $(HOST)
	@echo $(STATIC)

# TARGET_DIR/debian/vnetprobe_VERSION_ARCHITECTURE.deb
deb: static
	cargo deb --locked --quiet --no-build --target $(HOST) --profile $(PROFILE) $(DEB_FLAGS) --output $(TARGET_DIR)/debian/

# The folder that the image is made of, then the image itself in the local storage of buildah.
image: static
	install -D -m 755 $(STATIC) $(TARGET_DIR)/image/usr/bin/vnetprobe
	install -D -m 644 probes.toml $(TARGET_DIR)/image/etc/vnetprobe/probes.toml
	install -D -m 644 -t $(TARGET_DIR)/image/usr/share/doc/vnetprobe LICENSE-MIT LICENSE-APACHE
	install -d -m 700 $(TARGET_DIR)/image/var/lib/vnetprobe

container: image
	buildah build --tag vnetprobe:$(VERSION) --file deploy/Containerfile $(TARGET_DIR)/image

# vnetprobe.exe, cross-compiled with Debian's packages, and its test under Wine.
windows:
	scripts/windows
