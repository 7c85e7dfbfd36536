// Numbers and times as people read them, in the words of the command.

export function count(number: number, noun: string): string {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function bytes(number: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = number;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function percent(part: number, whole: number): string {
  if (whole <= 0) return "0 %";
  const value = (100 * part) / whole;
  return `${value > 0 && value < 1 ? "<1" : value > 99 && value < 100 ? ">99" : Math.round(value)} %`;
}

export function basisPoints(value: number): string {
  return `${Number((value / 100).toFixed(2))} %`;
}

// "45 s", "12 min", "3 h", "2 d".
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

// Of milliseconds: "850 ms", else as `span`.
export function shortSpan(ms: number): string {
  return ms < 1000 ? `${ms} ms` : span(ms);
}

export function ago(then: number, now: number): string {
  if (then <= 0) return "never";
  const passed = now - then;
  if (passed < -5000) return `in ${span(-passed)}`;
  return passed < 5000 ? "just now" : `${span(passed)} ago`;
}

const two = (number: number) => String(number).padStart(2, "0");

// "2026-11-23 07:01:22", in the time zone of the browser.
export function localTime(ms: number): string {
  if (ms <= 0) return "-";
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function stepWords(step: string): string {
  return step.replace("_", " ");
}

// "no_space: needs 5 MB, has 3 MB"; "" where there is nothing to say.
export function codeText(row: { code: string; reason: string }): string {
  if (row.code === "" || row.code === "ok") return row.reason;
  return row.reason === "" ? row.code : `${row.code}: ${row.reason}`;
}
