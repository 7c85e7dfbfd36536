import assert from "node:assert/strict";
import { test } from "node:test";
import { actions, commandByHand, done } from "../src/model/actions.ts";
import { status, wave } from "./examples.ts";

const verbs = (changes: Parameters<typeof status>[0]) => actions(status(changes)).map((action) => action.verb);

test("a paused rollout with failures offers to retry first, then to go on or to end it", () => {
  assert.deepEqual(verbs({ state: "paused", devices: 3, counts: { committed: 1, rolled_back: 1, waiting: 1 } }), ["retry", "resume", "abort", "revert"]);
});

test("what has ended offers nothing, and what is complete with failures another try", () => {
  for (const state of ["aborted", "reverted", "superseded", "refused"]) assert.deepEqual(verbs({ state, devices: 2, counts: { committed: 2 } }), []);
  assert.deepEqual(verbs({ state: "complete", devices: 2, counts: { committed: 1, refused: 1 } }), ["retry", "revert"]);
  assert.deepEqual(verbs({ state: "complete", devices: 2, counts: { committed: 1, refused: 1 }, superseded_by: "77aa01c2b3d4e5f6" }), []);
});

test("nothing is reverted that nobody has committed", () => {
  assert.deepEqual(verbs({ devices: 2, counts: { waiting: 2 } }), ["pause", "abort"]);
});

test("an approval names its wave, and says which devices may begin then", () => {
  const waits = status({ devices: 100, counts: { committed: 10, waiting: 90 }, waits_for: "an approval of wave 1", waves_total: 3,
                         waves: [wave(1, { device_count: 10, admitted: 10, approval: true }), wave(2, { share_bp: 5000, opened_ms: null }), wave(3, { share_bp: 10_000, opened_ms: null })] });
  const approve = actions(waits).find((action) => action.verb === "approve");
  assert.deepEqual(approve?.parameters, { wave: 1 });
  assert.match(approve?.does.join(" ") ?? "", /Wave 2 of 3 opens .* 50 % of all devices.* 40 more devices/);
});

test("a signed approval is left to the command, which has the keys", () => {
  const waits = status({ waits_for: "a signed approval", approval_signed: true, devices: 1, counts: { committed: 1 } });
  assert.ok(!actions(waits).some((action) => action.verb === "approve"));
  assert.equal(commandByHand(waits), "instar rollout approve 8fb5e0a1c7d2934e --key FILE");
  assert.equal(commandByHand(status({})), "");
});

test("what changed nothing is said to have changed nothing", () => {
  const [pause] = actions(status({ devices: 1, counts: { waiting: 1 } }));
  assert.match(done(pause!, status({}), status({})), /nothing is changed/);
  assert.match(done(pause!, status({}), status({ state: "paused", updated_ms: 3_000_000 })), /is paused/);
});
