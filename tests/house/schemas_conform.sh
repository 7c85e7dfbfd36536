#!/usr/bin/env bash
# Each schema against its frozen copies: a reader of a released version must still read what this one writes. A change that is more
# than a field or an enum's number added at the end fails here.
#   schemas_conform.sh [FLATC] [SCHEMAS]
set -euo pipefail
flatc=${1:-flatc}
schemas=${2:-$(dirname "$0")/../../schemas}
failures=0
checked=0

complain() {
  echo "$1"
  failures=$((failures + 1))
}

# The members of tables, structs and enums, one a line, without comments: flatc sees neither a last one taken away nor a struct changed.
members() {
  local bare
  bare=$(sed -E 's,//.*,,; s/^[[:space:]]+//; s/[[:space:]]+$//' "$1")
  { grep -E '^[a-z_0-9]+:.+;$' <<<"$bare" || true; grep -oE '[a-z_0-9]+ = [0-9]+' <<<"$bare" || true; } | sort -u
}

for frozen in "$schemas"/released/*/*.fbs; do
  current="$schemas/$(basename "$frozen")"
  checked=$((checked + 1))
  if [ ! -f "$current" ]; then
    complain "$frozen was released, but $current is gone"
    continue
  fi
  out=$("$flatc" --conform "$frozen" --conform-includes "$(dirname "$frozen")" -I "$schemas" "$current" 2>&1) ||
    complain "$current breaks $frozen: $out"
  gone=$(comm -23 <(members "$frozen") <(members "$current"))
  [ -z "$gone" ] || complain "$current breaks $frozen: gone or changed: $gone"
  if grep -q '^struct' "$frozen" && [ "$(members "$frozen")" != "$(members "$current")" ]; then
    complain "$current breaks $frozen: a struct cannot grow"
  fi
done

# Nothing on the wire goes out without a frozen copy; device_state never leaves its device.
for current in "$schemas"/*.fbs; do
  name=$(basename "$current")
  [ "$name" = device_state.fbs ] || compgen -G "$schemas/released/*/$name" >/dev/null || complain "$name has no frozen copy"
done

[ "$checked" -gt 0 ] || complain "no frozen schemas in $schemas/released"
[ "$failures" -eq 0 ] || exit 1
echo "$checked frozen schemas hold"
