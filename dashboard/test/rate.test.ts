import assert from "node:assert/strict";
import { test } from "node:test";
import { span } from "../src/model/format.ts";
import { addSample, pastOf, rateOf, sampleOf, SAMPLES, timeToGo, WINDOW_MS } from "../src/model/rate.ts";
import { member, status, wave } from "./examples.ts";

const going = (committed: number) => status({ devices: 100, counts: { committed, waiting: 100 - committed }, waves: [wave(1, { admitted: 100, committed, waiting: 100 - committed })] });

test("without anything watched the rate is the mean since it began", () => {
  assert.equal(rateOf(going(10), [], 1_000_000 + 5 * 60_000).devicesPerMinute, 2);
});

test("what was watched counts more, and only of the last minutes", () => {
  const now = 100_000_000;
  const samples = [sampleOf(going(0), now - 10 * WINDOW_MS), sampleOf(going(10), now - 60_000), sampleOf(going(40), now)];
  assert.equal(rateOf(going(40), samples, now).devicesPerMinute, 30);
});

test("the time to go is of the devices that the open waves let begin", () => {
  const one = status({ devices: 100, wave: 1, waves_total: 2, waves: [wave(1, { admitted: 20, waiting: 10, committed: 10 }), wave(2, { opened_ms: null, admitted: 80, waiting: 80 })] });
  assert.equal(timeToGo(one, { devicesPerMinute: 5, bytesPerSecond: 0 }, span), "about 2 min for wave 1 of 2");
  assert.match(timeToGo(status({ state: "paused" }), { devicesPerMinute: 5, bytesPerSecond: 0 }, span), /paused/);
  assert.match(timeToGo(status({ waits_for: "an approval of wave 1" }), { devicesPerMinute: 5, bytesPerSecond: 0 }, span), /approved/);
  assert.match(timeToGo(going(10), { devicesPerMinute: 0, bytesPerSecond: 0 }, span), /unknown/);
});

test("samples are bounded, the newest are whole, and the first stays", () => {
  let samples: ReturnType<typeof addSample> = [];
  for (let at = 0; at < 5000; at += 1) samples = addSample(samples, sampleOf(going(at % 100), at));
  assert.ok(samples.length <= SAMPLES && samples.length > SAMPLES / 2);
  assert.equal(samples[0]?.time, 0);
  assert.deepEqual(samples.slice(-3).map((sample) => sample.time), [4997, 4998, 4999]);
});

test("the past is scaled from a part of those that have ended, and joins what was watched", () => {
  const rows = [member("b", "failed", 3000), member("a", "committed", 2000), member("d", "committed", 4000), member("e", "committed", 9000)];
  const first = { time: 5000, committed: 3, failed: 2, flight: 0, finished: 5, bytes: 0 };
  const past = pastOf(rows, 8, 1000, first);
  assert.deepEqual(past.map((sample) => [sample.time, sample.committed, sample.failed]), [[1000, 0, 0], [2000, 2, 0], [3000, 2, 2], [4000, 3, 2]]);
  assert.equal(pastOf([], 0, 1000, first).length, 1);
});
