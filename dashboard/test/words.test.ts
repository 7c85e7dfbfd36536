import assert from "node:assert/strict";
import { test } from "node:test";
import { fault, parameters, warning, type Place } from "../src/broker/address.ts";
import { attention } from "../src/model/attention.ts";
import { ago, bytes, codeText, count, percent, span } from "../src/model/format.ts";
import { finished, resultsText, segments, stateText, stuckWave, waveText } from "../src/model/outcome.ts";
import { href, route } from "../src/model/routes.ts";
import { treeRows } from "../src/model/tree.ts";
import type { GroupRow } from "../src/model/types.ts";
import { status, version, wave } from "./examples.ts";

const place = (search = "", host = "broker.example.org:9001", protocol = "http:"): Place => ({ protocol, host, hostname: host.split(":")[0] ?? "", search });

test("the broker is where the page came from, or where its address says", () => {
  assert.deepEqual(parameters(place()), { broker: "ws://broker.example.org:9001/", prefix: "instar/v1", isGiven: false });
  assert.equal(parameters(place("", "b.example", "https:")).broker, "wss://b.example/");
  assert.deepEqual(parameters(place("?broker=wss://other:443/mqtt&prefix=my/v1")), { broker: "wss://other:443/mqtt", prefix: "my/v1", isGiven: true });
  assert.equal(parameters(place("", "", "file:")).broker, "ws://localhost:9001");
});

test("addresses that a page cannot reach are refused with what is wrong", () => {
  assert.equal(fault("ws://a:9001"), "");
  for (const bad of ["mqtt://a", "a:9001", "http://a", "javascript:alert(1)"]) assert.notEqual(fault(bad), "", bad);
  assert.match(fault("ws://me:secret@a"), /fields/);
});

test("a password is not sent without a word to where a link points, nor in the clear", () => {
  assert.match(warning("wss://evil.example", place(), true), /evil\.example/);
  assert.equal(warning("wss://broker.example.org", place(), true), "");
  assert.match(warning("ws://broker.example.org", place(), false), /TLS/);
  assert.equal(warning("ws://127.0.0.1:9001", place("", "127.0.0.1:9001"), false), "");
});

test("numbers are as the command prints them", () => {
  assert.deepEqual([bytes(0), bytes(999), bytes(4_120_113), bytes(14_000_000), bytes(255_120)], ["0 B", "999 B", "4.12 MB", "14.0 MB", "255 kB"]);
  assert.deepEqual([count(1, "device"), count(10_000, "device")], ["1 device", "10,000 devices"]);
  assert.deepEqual([percent(0, 0), percent(1, 10_000), percent(9_999, 10_000), percent(1, 2)], ["0 %", "<1 %", ">99 %", "50 %"]);
  assert.deepEqual([span(90_000), span(600_000), ago(0, 5), ago(1000, 61_000 * 60)], ["90 s", "10 min", "never", "61 min ago"]);
  assert.equal(codeText({ code: "no_space", reason: "needs 5 MB" }), "no_space: needs 5 MB");
  assert.equal(codeText({ code: "ok", reason: "" }), "");
});

test("segments add up to all devices, and retrying ones have not ended", () => {
  const one = status({ devices: 10, counts: { waiting: 1, fetching: 1, staging: 1, trying: 1, committed: 2, rolled_back: 2, refused: 1, failed: 1 }, retrying: 1 });
  assert.equal(segments(one).reduce((sum, part) => sum + part.number, 0), 10);
  assert.equal(finished(one), 5);
  assert.equal(resultsText(one), "2 of 10 devices have committed, 2 rolled back, 1 failed, 1 refused it");
});

test("the stuck wave is the open one of what was stopped, or what waits for a yes", () => {
  assert.equal(stuckWave(status({ state: "paused", cause: "wave 2 cannot go on", wave: 2, waves: [wave(1), wave(2)] })), 1);
  assert.equal(stuckWave(status({ waits_for: "an approval of wave 1", waves: [wave(1), wave(2)] })), 0);
  assert.equal(stuckWave(status({ state: "paused" })), -1, "an operator's pause is no fault of a wave");
  assert.equal(stuckWave(status({})), -1);
});

test("waves say whom they let begin", () => {
  assert.equal(waveText(wave(1, { named: 2 }), false), "2 named devices");
  assert.equal(waveText(wave(2, { share_bp: 1000 }), false), "10 % of all devices, with those before");
  assert.equal(waveText(wave(3, { share_bp: 10_000 }), true), "everyone else");
  assert.equal(stateText(status({ state: "complete", outcome: "complete with failures" })), "complete with failures");
});

test("what stands still comes first, with its reason", () => {
  const paused = status({ state: "paused", cause: "wave 1 cannot go on", reasons: [{ code: "unhealthy", reason: "probe failed", count: 3 }] });
  const waits = status({ rollout: "77aa", waits_for: "an approval of wave 1", waves: [wave(1), wave(2)] });
  const rows = attention([waits, paused, status({})], version({ clock: { ok: false, trusted: false, reason: "it was set back" } }), 2);
  assert.deepEqual(rows.map((row) => row.tone), ["bad", "bad", "warn", "warn"]);
  assert.match(rows[0]!.text, /paused: wave 1 cannot go on/);
  assert.equal(rows[0]!.detail, "3 × unhealthy: probe failed");
  assert.deepEqual(attention([status({})], version(), 0), []);
});

test("a root document that expires is named in time", () => {
  const day = 86_400_000;
  assert.match(attention([], version({ root_expires_ms: 1_000_000 + 10 * day }), 0)[0]?.text ?? "", /expires in 10 d/);
  assert.equal(attention([], version({ root_expires_ms: day, time_ms: 2 * day }), 0)[0]?.tone, "bad");
  assert.deepEqual(attention([], version({ root_expires_ms: 1_000_000 + 90 * day }), 0), []);
});

test("addresses name views, and strange ones the fleet", () => {
  assert.deepEqual(route("#/device/gw-01"), { view: "device", id: "gw-01", query: {} });
  assert.deepEqual(route(href("devices", "", { group: "plant-7/line-a", match: "" })), { view: "devices", id: "", query: { group: "plant-7/line-a" } });
  for (const strange of ["", "#/nowhere", "#/device", "#/device/%E0%A4%A", "#//"]) assert.equal(route(strange).view, "fleet", strange);
});

test("groups stand below their parents whatever their names, and folded ones hide what is below", () => {
  const row = (group: string): GroupRow => ({ group, devices: 1, online: 1, releases: [], rollouts: [] });
  const rows = ["plant-7", "plant-7-b", "plant-7/line-a", "plant-7/line-a/x"].map(row);
  assert.deepEqual(treeRows(rows, new Set()).map((each) => [each.name, each.depth, each.hasChildren]),
    [["plant-7", 0, true], ["line-a", 1, true], ["x", 2, false], ["plant-7-b", 0, false]]);
  assert.deepEqual(treeRows(rows, new Set(["plant-7"])).map((each) => each.row.group), ["plant-7", "plant-7-b"]);
});
