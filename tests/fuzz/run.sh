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
