"""Holds the checkout to the rules, and shows for each rule that it finds a planted violation."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pictures
import pytest
import rules

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("INSTAR_BUILD", ROOT / "build/release"))


def plant(folder: Path, path: str, text: str) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return folder


# --- include direction ---------------------------------------------------------------------------
def test_includes_point_one_way():
    assert rules.include_direction(ROOT) == []


@pytest.mark.parametrize("path,include", [
    ("core/base/x.hpp", "core/wire/topics.hpp"),
    ("core/rollout/x.cpp", "core/revision/machine.hpp"),
    ("core/revision/x.cpp", "core/rollout/machine.hpp"),
    ("core/wire/x_test.cpp", "storage/store.hpp"),
    ("storage/x.cpp", "broker-plugin/service.hpp"),
    ("publisher/x.cpp", "device-client/daemon.hpp"),
    ("device-client/x.cpp", "publisher/pack.hpp"),
    ("device-client/x.cpp", "storage/store.hpp"),
    ("broker-plugin/x.cpp", "mqtt/client.hpp"),
    ("files/x.cpp", "tests/sim/link.hpp"),
    ("core/rollout/devices/x.cpp", "core/rollout/rollouts/rollouts.hpp"),
    ("core/rollout/rollouts/x.cpp", "core/rollout/devices/devices.hpp"),
    ("device-client/staging/x.cpp", "core/delta/make/maker.hpp"),
    ("device-client/staging/x.cpp", "device-client/containers/supervisor.hpp"),
    ("device-client/staging/x.cpp", "device-client/process/config.hpp"),
    ("device-client/containers/x.cpp", "device-client/staging/stager.hpp"),
    ("device-client/lxc/x.cpp", "device-client/containers/supervisor.hpp"),
    ("device-client/process/x.cpp", "device-client/daemon.hpp"),
    ("device-client/daemon.cpp", "core/rollout/tracker.hpp"),
    ("broker-plugin/x.cpp", "core/revision/machine.hpp"),
    ("broker-plugin/x.cpp", "broker-plugin/mosquitto/mosquitto_port.hpp"),
    ("publisher/console/x.cpp", "publisher/artifact/unpacking.hpp"),
    ("publisher/artifact/x.cpp", "publisher/delta/build.hpp"),
    ("publisher/delta/x.cpp", "publisher/release/release.hpp"),
    ("publisher/release/x.cpp", "publisher/broker/session.hpp"),
    ("publisher/broker/x.cpp", "publisher/commands/commands.hpp"),
    ("publisher/artifact/x_test.cpp", "publisher/release/release.hpp"),
    ("device-client/staging/x.cpp", "device-client/staging/testing/x.hpp"),
    ("mqtt/reconnecting_client.cpp", "mqtt/paho_c/paho_c.hpp"),
    ("mqtt/paho_cpp/x.cpp", "mqtt/paho_c/paho_c.hpp"),
])
def test_include_that_points_back_is_found(tmp_path, path, include):
    assert len(rules.include_direction(plant(tmp_path, path, f'#include "{include}"\n'))) == 1


def test_permits_are_used():
    assert rules.unused_permits(ROOT) == []


def test_unused_permit_is_found(tmp_path):
    assert "publisher may include publisher/commands, and does not: take the permit away" in rules.unused_permits(tmp_path)


def test_include_that_points_down_is_fine(tmp_path):
    assert rules.include_direction(plant(tmp_path, "publisher/broker/x.cpp", '#include "files/tree.hpp"\n#include <mqtt/x.h>\n')) == []


# --- purity --------------------------------------------------------------------------------------
def test_core_is_pure():
    assert rules.core_purity(ROOT) == []


@pytest.mark.parametrize("line", [
    "#include <fstream>", "#include <unistd.h>", "#include <sys/stat.h>", "#include <chrono>", "#include <random>",
    "#include <thread>", "#include <mutex>", "#include <iostream>", "auto t = std::chrono::system_clock::now();",
    "randombytes_buf(a, 3);", 'getenv("X");',
])
def test_impurity_is_found(tmp_path, line):
    assert rules.core_purity(plant(tmp_path, "core/wire/x.cpp", line + "\n"))


def test_tests_of_core_may_read_fixtures(tmp_path):
    assert rules.core_purity(plant(tmp_path, "core/wire/x_test.cpp", "#include <fstream>\n")) == []


# --- adapters ------------------------------------------------------------------------------------
def test_third_party_headers_stay_in_their_adapter():
    assert rules.third_party(ROOT) == []


@pytest.mark.parametrize("path,header", [
    ("storage/memory_store.cpp", "rocksdb/db.h"), ("broker-plugin/service.cpp", "mosquitto_broker.h"), ("core/wire/x.cpp", "mosquitto.h"),
    ("publisher/main.cpp", "mqtt/async_client.h"), ("device-client/daemon.cpp", "lxc/lxccontainer.h"), ("core/wire/x.hpp", "sodium.h"),
    ("files/tree.cpp", "zstd.h"), ("core/delta/gzip_recipe.cpp", "zlib.h"), ("core/wire/x.cpp", "nlohmann/json.hpp"), ("mqtt/client.hpp", "MQTTAsync.h"),
    ("mqtt/transport.hpp", "mqtt/message.h"), ("mqtt/paho_c/paho_c.cpp", "mqtt/async_client.h"), ("mqtt/paho_cpp/paho_cpp.cpp", "MQTTAsync.h"),
    ("files/x.cpp", "CLI/CLI.hpp"),
])
def test_third_party_header_elsewhere_is_found(tmp_path, path, header):
    assert len(rules.third_party(plant(tmp_path, path, f"#include <{header}>\n"))) == 1


# --- what is built -------------------------------------------------------------------------------
def test_every_test_is_compiled():
    assert rules.tests_compiled(ROOT, BUILD / "compile_commands.json") == []


def test_test_left_out_of_the_build_is_found(tmp_path):
    plant(tmp_path, "core/a_test.cpp", "")
    plant(tmp_path, "core/b_test.cpp", "")
    commands = tmp_path / "build/compile_commands.json"
    commands.parent.mkdir()
    commands.write_text(json.dumps([{"directory": str(tmp_path), "file": "core/a_test.cpp"}]))
    assert rules.tests_compiled(tmp_path, commands) == ["core/b_test.cpp is not compiled: no target names it"]


def test_device_client_is_light():
    assert rules.linked_libraries(BUILD / "device-client/instar-device", ["librocksdb", "liblxc", "libmosquitto"]) == []


def test_publisher_needs_no_broker_parts():
    assert rules.linked_libraries(BUILD / "publisher/instar", ["librocksdb", "liblxc", "libmosquitto"]) == []


def test_programs_of_the_packages_use_the_cpp_library_of_paho():
    for program in ("device-client/instar-device", "publisher/instar"):
        assert rules.linked_libraries(BUILD / program, ["libpaho-mqttpp3"]) != []
        assert rules.paho_cpp_in(BUILD / program) != []


def test_static_client_has_no_cpp_wrapper_of_paho():
    static = BUILD / "device-client/instar-device-static"
    # A build with sanitizers has none.
    assert not static.exists() or rules.paho_cpp_in(static) == []


def test_forbidden_library_is_found():
    assert rules.linked_libraries(Path(shutil.which("mosquitto") or "/usr/sbin/mosquitto"), ["libssl"])


STACK, ASSERTION, FORMAT = "__stack_chk_fail", "_ZSt21__glibcxx_assert_fail\\w*", "__v?s?n?f?printf_chk"
# What each contains that its checks end in. A static one has the C library's own, too; its sources are looked at instead.
HARDENED = {
    "publisher/instar": (STACK, ASSERTION, FORMAT),
    "device-client/instar-device": (STACK, ASSERTION, FORMAT),
    "device-client/instar-lxc": (STACK, FORMAT),
    "broker-plugin/mosquitto_instar.so": (STACK, ASSERTION),
    "device-client/instar-device-static": (STACK, ASSERTION, FORMAT),
}


def is_as_shipped() -> bool:
    """Not a build for debugging or with sanitizers, which is made without these."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    return "CMAKE_BUILD_TYPE:STRING=RelWithDebInfo" in cache and re.search(r"^INSTAR_SANITIZE:\w+=(OFF)?$", cache, re.M) is not None


@pytest.mark.parametrize("program", HARDENED)
def test_programs_are_hardened(program):
    assert not is_as_shipped() or rules.hardened(BUILD / program, HARDENED[program]) == []


def test_sources_are_compiled_with_the_checks():
    assert not is_as_shipped() or rules.hardened_sources(ROOT, BUILD / "compile_commands.json", ["decoder_alone", "instar_lxc_payload"]) == []


@pytest.mark.parametrize("options,found", [
    (["-no-pie"], "fixed address"), (["-Wl,-z,norelro"], "RELRO"), (["-Wl,-z,lazy"], "BIND_NOW"), (["-Wl,-z,execstack"], "GNU_STACK"),
    (["-fno-stack-protector"], "__stack_chk_fail"), (["-U_FORTIFY_SOURCE"], "printf_chk"),
])
def test_program_without_a_check_is_found(tmp_path, options, found):
    plant(tmp_path, "a.c", '#include <stdio.h>\nint main(int n, char** w) {\n  char a[64];\n'
                           '  return fgets(a, n, stdin) && printf("%d %s %s", n, a, w[0]);\n}\n')
    good = ["-O2", "-fpie", "-pie", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-Wl,-z,relro", "-Wl,-z,now"]
    for name, more in (("good", []), ("bad", options)):
        subprocess.run(["gcc", *good, *more, str(tmp_path / "a.c"), "-o", str(tmp_path / name)], check=True, capture_output=True)
    assert rules.hardened(tmp_path / "good", (STACK, FORMAT)) == []
    assert any(found in line for line in rules.hardened(tmp_path / "bad", (STACK, FORMAT)))


def test_source_without_a_check_is_found(tmp_path):
    full = " ".join(["c++", "-fcf-protection", *rules.HARDENING])
    entry = {"directory": str(tmp_path), "file": "core/a.cpp"}
    commands = tmp_path / "compile_commands.json"

    def found(command: str) -> list[str]:
        commands.write_text(json.dumps([entry | {"command": command}]))
        return rules.hardened_sources(tmp_path, commands, ["alone"])

    assert found(full + " -c core/a.cpp") == []
    assert found(full.replace("-fstack-clash-protection", "")) == ["core/a.cpp is compiled without -fstack-clash-protection"]
    assert found(full + " -U_FORTIFY_SOURCE") == ["core/a.cpp: -U_FORTIFY_SOURCE comes last"]
    assert found("c++ -o CMakeFiles/alone.dir/a.o") == []


# --- text ----------------------------------------------------------------------------------------
def test_text_is_clean():
    assert rules.hygiene(ROOT) == []


@pytest.mark.parametrize("text", [
    "int a; // TO" + "DO\n", "GTEST_" + "SKIP();\n", "int a; \n", "int a;", "int a;\r\n", "// see /ho" + "me/me/x\n", "int a;\n" * 801,
])
def test_unclean_text_is_found(tmp_path, text):
    target = tmp_path / "core/x.cpp"
    target.parent.mkdir()
    target.write_bytes(text.encode())
    assert rules.hygiene(tmp_path)


def test_large_file_is_found(tmp_path):
    assert rules.hygiene(plant(tmp_path, "docs/picture.bin", "x" * 1_000_001))


def test_links_lead_somewhere():
    assert rules.links(ROOT) == []


def test_dead_link_is_found(tmp_path):
    assert len(rules.links(plant(tmp_path, "docs/a.md", "[x](b.md) [y](https://e.org) [z](a.md#here)\n"))) == 1


def test_bounds_are_in_one_file():
    assert rules.bounds(ROOT) == []


@pytest.mark.parametrize("path,line,bad", [
    ("core/wire/x.cpp", "constexpr std::size_t kTextBytesMax = 1024;", 1), ("files/x.hpp", "  static constexpr int kTriesMin = 2;", 1),
    ("storage/x.cpp", "inline constexpr std::int64_t\n    kPauseMsMax{5};", 1), ("mqtt/x.cpp", "constexpr int kMaxTries = 3;", 1),
    ("core/base/limits.hpp", "inline constexpr int kTriesMax = 2;", 0), ("core/wire/x_test.cpp", "constexpr int kTriesMax = 2;", 0),
    ("publisher/testing/x.cpp", "constexpr int kTriesMax = 2;", 0), ("core/wire/x.cpp", "// constexpr int kTriesMax = 2;", 0),
    ("core/wire/x.cpp", "constexpr auto kHalf = limits::kTextBytesMax / 2;", 0), ("core/wire/x.cpp", "constexpr int kMinuteMs = 60'000;", 0),
])
def test_bound_elsewhere_is_found(tmp_path, path, line, bad):
    assert len(rules.bounds(plant(tmp_path, path, line + "\n"))) == bad


def test_limits_page_agrees_with_the_code():
    assert rules.limits_page(ROOT) == []


@pytest.mark.parametrize("page", ["", "| `kA` | 1 |\n", "| `kA` | 2048 |\n| `kB` | 1 |\n"])
def test_limits_page_that_disagrees_is_found(tmp_path, page):
    plant(tmp_path, "core/base/limits.hpp", "inline constexpr std::size_t kA = 2 * 1'024;\n")
    assert rules.limits_page(plant(tmp_path, "docs/limits.md", page))


def test_pages_are_not_too_wide():
    assert rules.width(ROOT) == []


@pytest.mark.parametrize("line,bad", [
    ("word " * 30, 1), ("- " + "word " * 30, 1), ("see `" + "code " * 10 + "` " * 2 + "word " * 20, 1), ("| " + "cell " * 30 + "|", 0),
    ("https://example.org/" + "x" * 120, 0), ("- `" + "code " * 30 + "`", 0), ("```\n" + "word " * 30 + "\n```", 0), ("w" * 120, 0),
])
def test_page_that_is_too_wide_is_found(tmp_path, line, bad):
    assert len(rules.width(plant(tmp_path, "docs/a.md", line + "\n"))) == bad


def test_pages_name_files_that_are_there():
    assert rules.named_paths(ROOT) == []


@pytest.mark.parametrize("name,bad", [
    ("core/wire/x.cpp", 0), ("x.cpp", 0), ("core/wire/", 0), ("core/wire/*.cpp", 0), ("a.md", 0), ("d/X/fetch", 0), ("instar-lxc", 0), ("instar/v1", 0),
    ("core/wire/y.cpp", 1), ("y.cpp", 1), ("core/rollout/", 1), ("core/wire/*.hpp", 1), ("gone/x.cpp", 1),
])
def test_name_of_a_file_that_is_not_there_is_found(tmp_path, name, bad):
    plant(tmp_path, "core/wire/x.cpp", "")
    assert len(rules.named_paths(plant(tmp_path, "docs/a.md", f"A line goes into `{name}`.\n"))) == bad


def test_pages_use_one_word_for_one_thing():
    assert rules.plain_words(ROOT) == []


@pytest.mark.parametrize("text,bad", [("It is made anew.", 1), ("The device hears it.", 1), ("The `heard` one, `told` or not.", 0)])
def test_word_that_pages_do_not_use_is_found(tmp_path, text, bad):
    assert len(rules.plain_words(plant(tmp_path, "docs/a.md", text + "\n"))) == bad


# --- pictures ------------------------------------------------------------------------------------
def test_pictures_show_what_their_sources_say():
    assert pictures.violations(ROOT) == []


def test_picture_of_the_code_shows_what_may_be_included():
    """Programs have an arrow to each adapter that a room of theirs uses; an arrow inside core is one that is allowed."""
    dot = (ROOT / "docs/pictures/code.dot").read_text().replace("plugin", "broker-plugin").replace("device ", "device-client ")
    visible = [line.split("[")[0] for line in dot.splitlines() if "->" in line and "invis" not in line and "cluster" not in line]
    shown = {pair for line in visible for names in [line.replace(" ", "").split("->")] for pair in zip(names, names[1:])}
    adapters, programs = {"mqtt", "storage", "files"}, {"publisher", "broker-plugin", "device-client"}
    assert {pair for pair in shown if pair[0] in programs} == {
        (room.split("/")[0], other) for room, others in rules.MAY_INCLUDE.items() for other in others
        if room.split("/")[0] in programs and other in adapters}
    inside = {(f"core/{one}", f"core/{other}") for one, other in shown if one not in programs}
    assert inside and all(other in rules.MAY_INCLUDE[one] for one, other in inside)


def picture(folder: Path, source: str, page: str = "![all](pictures/a.svg)\n") -> Path:
    plant(folder, "docs/pictures/a.dot", source)
    pictures.draw(folder)
    return plant(folder, "docs/a.md", page)


def test_picture_is_held_against_what_it_says_not_where_it_stands(tmp_path):
    source = 'digraph a { graph [bgcolor=white] a -> b [label="goes"] }\n'
    assert pictures.violations(picture(tmp_path, source)) == []
    plant(tmp_path, "docs/pictures/a.dot", source.replace("bgcolor=white", "bgcolor=white, ranksep=2"))
    assert pictures.violations(tmp_path) == []


@pytest.mark.parametrize("edge", ['b -> a [label="goes"]', 'a -> b [label="went"]', 'a -> b [label="goes"] c'])
def test_picture_that_is_not_drawn_again_is_found(tmp_path, edge):
    picture(tmp_path, 'digraph a { graph [bgcolor=white] a -> b [label="goes"] }\n')
    assert len(pictures.violations(plant(tmp_path, "docs/pictures/a.dot", "digraph a { graph [bgcolor=white] " + edge + " }\n"))) == 1


def test_picture_without_page_source_or_background_is_found(tmp_path):
    source = "digraph a { graph [bgcolor=white] a }\n"
    assert len(pictures.violations(picture(tmp_path, source, "[a](pictures/a.svg)\n"))) == 1
    assert len(pictures.violations(picture(tmp_path, "digraph a { graph [bgcolor=transparent] a }\n"))) == 1
    picture(tmp_path, source)
    (tmp_path / "docs/pictures/a.dot").unlink()
    assert pictures.violations(tmp_path) == ["docs/pictures/a.svg has no source"]


# --- fuzzing -------------------------------------------------------------------------------------
def test_fuzz_targets_are_whole():
    assert rules.fuzz_targets(ROOT) == []


def test_fuzz_target_that_lacks_something_is_found(tmp_path):
    plant(tmp_path, "tests/fuzz/CMakeLists.txt", "instar_fuzz(a LIBS x)\n")
    plant(tmp_path, "tests/fuzz/run.py", 'PARSERS = {"a": ["a.cpp"], "c": []}\n')
    plant(tmp_path, "tests/fuzz/fuzz_a.cpp", "\n")
    plant(tmp_path, "tests/fuzz/fuzz_b.cpp", "\n")
    plant(tmp_path, "tests/fuzz/corpus/b/seed", "x")
    assert rules.fuzz_targets(tmp_path) == [
        "tests/fuzz/run.py names no sources of fuzz_b", "tests/fuzz/run.py names fuzz_c, which is not there", "fuzz_b is not built",
        "fuzz_a has no corpus", "tests/fuzz/run.py: a.cpp is not there"]


# --- commands in pages ---------------------------------------------------------------------------
PAGES = [p for p in rules.tracked(ROOT, "*.md") if rules.command_blocks(ROOT / p)]


def run_blocks(page: Path, folder: Path) -> subprocess.CompletedProcess:
    """All blocks of a page, one after the other, in one shell and one folder."""
    environment = dict(os.environ, PATH=f"{BUILD}/publisher:{BUILD}/device-client:{os.environ['PATH']}")
    script = "set -euo pipefail\n" + "\n".join(rules.command_blocks(page))
    return subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_of_the_pages_work(tmp_path, page):
    done = run_blocks(ROOT / page, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_command_that_fails_is_found(tmp_path):
    plant(tmp_path, "a.md", "```sh\nfalse\n```\n\n```sh run\ntrue\n```\ntext\n```sh run\nfalse\ntrue\n```\n")
    assert run_blocks(tmp_path / "a.md", tmp_path).returncode != 0
