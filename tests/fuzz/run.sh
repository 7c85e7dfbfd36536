#!/usr/bin/env bash
# Fuzzes each target for some seconds, beginning with the worked examples of the formats.
#   run.sh BUILD [SECONDS] [TARGET ...]
# BUILD is a build of the preset `fuzz`. The corpus grows in BUILD/corpus; a crash is kept in BUILD/crashes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?the folder of a build with the preset fuzz}" && pwd)
seconds=${2:-60}
shift $(($# < 2 ? $# : 2))
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(find "$build/tests/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -executable -printf '%f\n' | sort)
[ ${#targets[@]} -gt 0 ] || { echo "no fuzz targets in $build: cmake --preset fuzz && ninja -C build/fuzz"; exit 2; }

# seed TARGET PICK FIXTURE [CUT]: the fixture's bytes, CUT fewer at the end, behind the byte that picks the decoder (if any).
seed() {
  mkdir -p "$build/corpus/$1"
  python3 -c 'import sys
body = bytes.fromhex("".join(line for line in open(sys.argv[2]) if not line.startswith("#")))
sys.stdout.buffer.write(bytes(int(n) for n in sys.argv[1].split()) + body[:len(body) - int(sys.argv[3])])' \
    "$2" "$here/../fixtures/$3" "${4:-0}" >"$build/corpus/$1/seed-${3%.*}"
}
seed fuzz_envelope 0 envelope.hex
seed fuzz_envelope 1 root.hex
seed fuzz_index 0 index.hex
seed fuzz_index_delta 0 index-delta.hex
seed fuzz_index_delta 1 index.hex
# Streams that copy all of the base with its references predicted (x86-64, then AArch64): machine, control bytes, the control stream, filling.
mkdir -p "$build/corpus/fuzz_delta"
for machine in 1 2 3 0; do
  python3 -c 'import sys
control = bytes([0x05, 1, 0x80, 0xa0, 1, 0, 0, 0x05, 2, 0x80, 0x28, 0x80, 0x30, 4, 9, 0, 40])
filling = bytes.fromhex("e800010000488d05f0000000e9100000000f8410000000" "0100009400000090000000910000409e1400000010000000000000000200000000000000")
sys.stdout.buffer.write(bytes([1, int(sys.argv[1]), len(control), 0, 200]) + control + filling)' "$machine" >"$build/corpus/fuzz_delta/seed-$machine"
done
seed fuzz_gzip 0 gzip-recipe.hex
seed fuzz_gzip "1 99" gzip-recipe-file.hex
seed fuzz_gzip 2 gzip-recipe-file.hex
pick=0
for name in manifest gate hello report fetch chunk ack put stored; do
  seed fuzz_wire "$pick" "$name.hex"
  pick=$((pick + 1))
done
# Without its checksum: the target puts one there that holds.
seed fuzz_state "" device_state.hex 32

mkdir -p "$build/crashes"
for target in "${targets[@]}"; do
  mkdir -p "$build/corpus/$target"
  echo "== $target for $seconds s"
  "$build/tests/fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$build/crashes/$target-" "$build/corpus/$target"
done
