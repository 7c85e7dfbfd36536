// How fast a rollout goes, and how long it takes at that rate; from the statuses that came in, and from the broker's times before them.
import { finished, isOver, of } from "./outcome.ts";
import type { Member, Status } from "./types.ts";

export interface Sample {
  time: number;
  committed: number;
  failed: number;
  flight: number;
  finished: number;
  bytes: number;
}

// A plot has no more points than a wide screen; older ones are thinned out.
export const SAMPLES = 600;
// The rate is of what happened in this time.
export const WINDOW_MS = 5 * 60_000;

export function sampleOf(status: Status, time: number): Sample {
  return { time, committed: of(status, "committed"), failed: of(status, "rolled_back", "failed", "refused"),
           flight: of(status, "fetching", "staging", "trying"), finished: finished(status), bytes: status.bytes_sent };
}

// Adds one at the end. Of more than SAMPLES every second of the older half goes.
export function addSample(samples: Sample[], sample: Sample): Sample[] {
  const last = samples[samples.length - 1];
  const kept = last !== undefined && last.time >= sample.time ? samples.slice(0, -1) : samples;
  const out = [...kept, sample];
  if (out.length <= SAMPLES) return out;
  const half = out.length / 2;
  return out.filter((_, at) => at > half || at % 2 === 0);
}

export interface Rate {
  devicesPerMinute: number;
  bytesPerSecond: number;
}

export function rateOf(status: Status, samples: Sample[], now: number): Rate {
  const recent = samples.filter((sample) => now - sample.time <= WINDOW_MS);
  const first = recent[0];
  const last = recent[recent.length - 1];
  if (first !== undefined && last !== undefined && now - first.time >= 30_000) {
    const ms = now - first.time;
    return { devicesPerMinute: (60_000 * Math.max(0, last.finished - first.finished)) / ms,
             bytesPerSecond: (1000 * Math.max(0, last.bytes - first.bytes)) / ms };
  }
  // Nothing was watched yet: the mean since it began.
  const end = isOver(status) ? status.updated_ms : now;
  const ms = Math.max(1000, end - status.started_ms);
  return { devicesPerMinute: (60_000 * finished(status)) / ms, bytesPerSecond: (1000 * status.bytes_sent) / ms };
}

// "about 4 min for wave 2 of 3"; why not, where nothing can be said.
export function timeToGo(status: Status, rate: Rate, spanText: (ms: number) => string): string {
  if (isOver(status)) return "it is over";
  if (status.state === "paused") return "stands still: it is paused";
  if (status.waits_for.includes("approval")) return "stands still until it is approved";
  const open = status.waves.slice(0, Math.max(1, status.wave));
  const left = open.reduce((sum, wave) => sum + wave.waiting + wave.in_flight + wave.retrying, 0);
  const where = status.waves.length > 1 ? ` for wave ${status.wave} of ${status.waves.length}` : "";
  if (left === 0) return status.waits_for === "" ? "no device is left in the open waves" : `waits for ${status.waits_for}`;
  if (rate.devicesPerMinute <= 0) return "unknown: no device has ended lately";
  return `about ${spanText((60_000 * left) / rate.devicesPerMinute)}${where}`;
}

// What happened before the first sample, from the times of the last reports: `rows` of `all` members that have come to an end, scaled up.
export function pastOf(rows: Member[], all: number, started: number, first: Sample): Sample[] {
  const ends = rows.filter((row) => row.updated_ms > 0 && row.updated_ms < first.time).sort((one, other) => one.updated_ms - other.updated_ms);
  const scale = rows.length === 0 ? 1 : all / rows.length;
  const step = Math.max(1, Math.ceil(ends.length / 200));
  const out: Sample[] = [{ time: Math.min(started, first.time - 1), committed: 0, failed: 0, flight: 0, finished: 0, bytes: 0 }];
  let committed = 0;
  let failed = 0;
  ends.forEach((row, at) => {
    if (row.step === "committed") committed += 1;
    else failed += 1;
    if ((at + 1) % step !== 0 && at + 1 !== ends.length) return;
    // Where it is an estimate, it does not go above what is known then.
    const [good, bad] = [Math.min(first.committed, Math.round(committed * scale)), Math.min(first.failed, Math.round(failed * scale))];
    out.push({ time: Math.max(row.updated_ms, started), committed: good, failed: bad, flight: 0, finished: good + bad, bytes: 0 });
  });
  return out;
}
