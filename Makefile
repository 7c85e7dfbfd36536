# One command each. They need nothing first but Debian 12: they install the packages (a minute), build (what that takes stands in
# parentheses: roughly, the first time, on two idle cores), and run.
#
#   make demo         three devices, a real broker, real containers, three releases: see it work (4 minutes, then 30 s)
#   make test         every test there is; ends with ctest's summary (17 minutes, then 25)
#   make check        format, the house rules, unit tests: quick, before each commit
#   make test-loaded  every test, beside a load that keeps all cores busy: none may depend on how fast the machine is
#   make brokers      gets the Mosquittos of newer Debians, and runs the plugin's tests in each (BROKERS: which, such as BROKERS=sid)
#   make bench        measured side by side; writes build/report/*.json
#   make bench-bytes  bytes on the wire, against every peer that Debian packages; writes docs/benchmarks.md
#   make bench-link   what an update gets of a link that is slow, late and cut, beside curl; writes build/report/link.json (LINK: options)
#   make sim          simulated fleets, SEEDS of them, on all cores; prints the seed that finds something
#   make bench-floods what a flood by 1 and by 50 clients costs everybody else; writes build/report/floods.json (FLOODS: options)
#   make bench-fleet  10,000 devices on one broker; writes build/report/fleet.json (FLEET: options, KILLS=200: kill the broker as often)
#   make device       a machine with 64 MB of RAM and 32 MB of flash that runs a release, to look at on its console
#   make test-powercut  cuts its power CUTS times while releases go back and forth; writes build/report/powercut.json
#   make test-powercut-fs  the same on the client's file system alone: CUTS of them, some six a second
#   make test-faults  lets each write, sync, rename, link … of an update fail in its turn
#   make fuzz         hostile bytes to every parser for MINUTES; prints the lines of each that they reached
#   make bench-device memory, flash and downtime of an update on it, and the same by other updaters; writes build/report/device.json
#   make packages     Debian packages of the programs, in build/packages
#   make pictures     draws the pictures of the pages from docs/pictures/*.dot
#   make clean        remove what was built

PRESET  ?= release
BUILD   := build/$(PRESET)
JOBS    ?= $(shell nproc)
# Most tests wait more than they compute.
TESTS   ?= $$((2 * $(JOBS)))
CTEST   := ctest --test-dir $(BUILD) --output-on-failure
# Containers are started by LXC as root; packages are installed as root. Nothing else needs it.
ROOT    := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)

.PHONY: help deps configure web build demo test test-loaded check bench bench-bytes bench-fleet bench-floods bench-link sim packages clean device test-powercut \
        test-powercut-fs test-faults brokers fuzz bench-device pictures
.DEFAULT_GOAL := help

help:
	@sed -n '4,23s/^# *//p' Makefile

deps:
	@deploy/install-deps

configure: deps
	@[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET) -Wno-dev > /dev/null

# What `instar dashboard` is built with: a build without it has all else.
web: deps
	@deploy/install-deps web || echo "build: without libwebsockets-dev \`instar dashboard\` is left out"

build: web configure
	@deploy/install-deps dashboard
	@cmake/build $(BUILD) $(JOBS) 17

# Only the programs that it runs.
demo: configure
	@cmake/build $(BUILD) $(JOBS) 4 instar instar-device instar-lxc mosquitto_instar
	@[ -z "$(ROOT)" ] || echo "demo: LXC starts containers as root, so sudo may ask for your password"
	@$(ROOT) demo/run --build $(BUILD) --report build/report/demo.json

test: build
	@[ -z "$(ROOT)" ] || echo "test: LXC starts containers as root, so sudo may ask for your password"
	@$(ROOT) $(CTEST) -j$(TESTS)

test-loaded: build
	@$(ROOT) tests/beside_load -- $(CTEST) -j$(TESTS)

check: build
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run -Werror
	@$(CTEST) -j$(JOBS) -L 'unit|house'

BROKERS ?= trixie sid
brokers: build
	@cd tests && /usr/bin/python3 -B -m harness.brokers $(BROKERS)
	@for suite in $(BROKERS); do $(ROOT) env INSTAR_BUILD=$(abspath $(BUILD)) INSTAR_MOSQUITTO=$(abspath build/brokers)/$$suite/mosquitto \
	  /usr/bin/python3 -B -m pytest -q -p no:cacheprovider $(addprefix tests/integration/test_,plugin_loading.py plugin_access.py \
	  plugin_messages.py plugin_service.py plugin_refuses.py existing_broker.py happy_path.py connection_faults.py) || exit 1; done
	@$(ROOT) env INSTAR_BUILD=$(abspath $(BUILD)) /usr/bin/python3 -B -m pytest -q -p no:cacheprovider tests/integration/test_brokers.py

bench: build
	@for bench in bench/*.py; do $(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B $$bench || exit 1; done

# The pairs and what was measured are kept in build/bench. BYTES: options, such as BYTES='--pairs esb,iot --direction back'.
bench-bytes: build
	@deploy/install-deps bench
	@$(ROOT) env INSTAR_BUILD=$(BUILD) nice /usr/bin/python3 -B bench/bytes/run.py $(BYTES)
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/bytes/client_memory.py

# LINK: options, such as LINK='--only "64 kbit/s, 2 s"' or LINK='--link-s 60 --jobs 12'.
bench-link: build
	@deploy/install-deps link
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/link/run.py $(LINK)

SEEDS ?= 1000
sim: build
	@$(BUILD)/tests/sim/instar_sim --seed 1 --seeds $(SEEDS) --jobs 0

# FLOODS: options, such as FLOODS='--kinds bad_hellos --seconds 60' or FLOODS='--made-up 200000'.
bench-floods: build
	@env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/floods/run.py $(FLOODS)

# FLEET: options, such as FLEET='--devices 1000 --only rollout'.
bench-fleet: build
	@env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/fleet/run.py $(FLEET)
	@[ -z "$(KILLS)" ] || env INSTAR_BUILD=$(BUILD) INSTAR_KILLS=$(KILLS) INSTAR_FLEET=1000 \
	  /usr/bin/python3 -B -m pytest -q -s -p no:cacheprovider tests/integration/test_broker_killed.py

device: build
	@deploy/install-deps device
	@$(ROOT) env INSTAR_BUILD=$(BUILD) deploy/test-device/boot

CUTS ?= 100
test-powercut: build
	@deploy/install-deps device
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B tests/powercut/run.py --cuts $(CUTS)

test-powercut-fs: build
	@mkdir -p build/report
	@$(ROOT) $(BUILD)/tests/powercut/instar_fs_cuts --cuts $(CUTS) --jobs $(JOBS) --report build/report/powercut-fs.json

test-faults: build
	@mkdir -p build/report
	@$(ROOT) env LD_PRELOAD=$(abspath $(BUILD))/tests/powercut/libinstar_fail_nth.so \
	  $(BUILD)/tests/powercut/instar_fs_cuts --faults --report build/report/faults.json

# In a build of its own, with clang, sanitizers and counters. FUZZ: options, such as FUZZ='--only delta,wire'.
MINUTES ?= 10
fuzz: deps
	@deploy/install-deps fuzz
	@[ -f build/fuzz/build.ninja ] || cmake --preset fuzz -Wno-dev > /dev/null
	@cmake/build build/fuzz $(JOBS) 8 fuzz_targets
	@/usr/bin/python3 -B tests/fuzz/run.py build/fuzz --minutes $(MINUTES) --jobs $(JOBS) $(FUZZ)

# PEERS: options of its last part, such as PEERS='--only "instar; casync" --rounds 1'.
bench-device: build
	@deploy/install-deps device
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/device/run.py
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/device/idle.py
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/device/idle.py --memory
	@deploy/install-deps peers
	@$(ROOT) env INSTAR_BUILD=$(BUILD) /usr/bin/python3 -B bench/device/peers.py $(PEERS)

packages: build
	@cpack --config $(BUILD)/CPackConfig.cmake -B build/packages

pictures: deps
	@/usr/bin/python3 -B tests/house/pictures.py .

clean:
	@$(ROOT) rm -rf build
