import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal, Requests } from "../src/broker/requests.ts";

function made() {
  const world = { now: 0, sent: [] as string[], fault: null as Error | null };
  const requests = new Requests("me", (payload) => (world.sent.push(payload), world.fault === null ? Promise.resolve() : Promise.reject(world.fault)), () => world.now);
  const answer = (response: object) => requests.take(JSON.stringify({ responses: [response] }));
  return { world, requests, answer };
}

test("an answer goes to the request that it names", async () => {
  const { requests, answer, world } = made();
  const [one, two] = [requests.ask<{ number: number }>("getVersion"), requests.ask<{ number: number }>("listDevices", { count: 5 })];
  assert.deepEqual(JSON.parse(world.sent[1] ?? ""), { commands: [{ command: "listDevices", count: 5, correlationData: "me-2" }] });
  answer({ command: "listDevices", correlationData: "somebody-2", data: { number: 9 } });
  answer({ command: "listDevices", correlationData: "me-2", data: { number: 2 } });
  answer({ command: "getVersion", correlationData: "me-1", data: { number: 1 } });
  assert.deepEqual([(await one).number, (await two).number], [1, 2]);
});

test("a refusal keeps the broker's words", async () => {
  const { requests, answer } = made();
  const asked = requests.ask("revertRollout");
  answer({ command: "revertRollout", correlationData: "me-1", error: "refused: the release does not allow it" });
  await assert.rejects(asked, (error) => error instanceof Refusal && error.code === "refused" && error.message === "the release does not allow it");
});

test("what is not answered is sent again, and given up in the end", async () => {
  const { requests, world } = made();
  const asked = requests.ask("getVersion");
  world.now = 9000;
  assert.equal(requests.turn(true), false);
  world.now = 10_000;
  assert.equal(requests.turn(true), true, "the connection is in doubt");
  assert.equal(world.sent.length, 2);
  world.now = 29_000;
  requests.turn(false);
  world.now = 31_000;
  requests.turn(true);
  await assert.rejects(asked, /did not answer 'getVersion'/);
});

test("after a new connection all that waits is asked again", () => {
  const { requests, world } = made();
  void requests.ask("getVersion");
  requests.sendAgain();
  assert.equal(world.sent.length, 2);
  assert.equal(world.sent[0], world.sent[1]);
});

test("what changes something is never sent a second time, nor while there is no connection", async () => {
  const { requests, world, answer } = made();
  await assert.rejects(requests.order("abortRollout", {}, false), /nothing was sent/);
  assert.equal(world.sent.length, 0);
  const lost = requests.order("abortRollout", {}, true);
  world.now = 15_000;
  requests.turn(true);
  requests.sendAgain();
  assert.equal(world.sent.length, 1);
  await assert.rejects(lost, /see whether it was done/);
  const done = requests.order<{ state: string }>("pauseRollout", { rollout: "8f" }, true);
  answer({ correlationData: "me-2", data: { state: "paused" } });
  assert.equal((await done).state, "paused");
});

test("a refusal that names no request ends what waits", async () => {
  const { requests, answer, world } = made();
  const asked = requests.ask("getVersion");
  answer({ command: "Unknown command", error: "refused: you are no operator" });
  world.now = 1000;
  requests.turn(true);
  await assert.rejects(asked, /you are no operator/);
});

test("what is no answer is passed over", () => {
  const { requests } = made();
  for (const text of ["", "nonsense", "null", "[]", "{}", '{"responses":3}', '{"responses":[null,3,{"correlationData":7}]}']) requests.take(text);
  assert.equal(requests.waiting, 0);
});

test("a command that may not be sent fails with that reason", async () => {
  const { requests, world } = made();
  world.fault = new Error("this user may not send commands");
  await assert.rejects(requests.ask("getVersion"), /may not send commands/);
});
