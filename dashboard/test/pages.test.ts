import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_ROWS, Pages } from "../src/model/pages.ts";

function fleet(size: number, perAnswer = 1000) {
  const asked: [number, number][] = [];
  const pages = new Pages<number>((offset, count) => {
    asked.push([offset, count]);
    const number = Math.max(0, Math.min(count, perAnswer, size - offset));
    return Promise.resolve({ rows: Array.from({ length: number }, (_, at) => offset + at), total: size });
  }, () => undefined);
  return { asked, pages };
}

test("only what is in sight is asked for, and once", async () => {
  const { asked, pages } = fleet(10_000);
  await pages.show(0, 20);
  await pages.show(5000, 5020);
  await pages.show(5001, 5021);
  assert.deepEqual(asked, [[0, PAGE_ROWS], [5000, PAGE_ROWS]]);
  assert.equal(pages.total, 10_000);
  assert.equal(pages.row(5019), 5019);
  assert.equal(pages.row(9999), undefined);
});

test("an answer with fewer rows than asked for is gone on with", async () => {
  const { asked, pages } = fleet(200, 20);
  await pages.show(0, 50);
  assert.deepEqual(asked, [[0, 50], [20, 30], [40, 10]]);
  assert.equal(pages.row(49), 49);
});

test("it never holds all of a long list", async () => {
  const { pages } = fleet(10_000);
  for (let at = 0; at < 10_000; at += 50) await pages.show(at, at + 30);
  assert.ok(pages.size <= 1000);
  assert.equal(pages.row(9990), 9990);
});

test("an empty list is known to be empty", async () => {
  const { asked, pages } = fleet(0);
  await pages.show(0, 20);
  await pages.show(0, 20);
  assert.equal(pages.total, 0);
  assert.equal(asked.length, 1);
});

test("a list that became shorter loses its rows, and a fault is kept until an answer comes", async () => {
  let size = 60;
  const pages = new Pages<number>((offset, count) => size < 0 ? Promise.reject(new Error("away")) :
    Promise.resolve({ rows: Array.from({ length: Math.max(0, Math.min(count, size - offset)) }, (_, at) => offset + at), total: size }), () => undefined);
  await pages.show(0, 60);
  size = 10;
  await pages.refresh();
  assert.equal(pages.row(30), undefined);
  size = -1;
  await pages.refresh();
  assert.equal(pages.error?.message, "away");
  assert.equal(pages.row(5), 5, "what is known stays");
});
