// Groups as a tree: which rows are shown, and how deep each stands.
import type { GroupRow } from "./types.ts";

export interface TreeRow {
  row: GroupRow;
  name: string;
  depth: number;
  hasChildren: boolean;
  isOpen: boolean;
}

export function depthOf(path: string): number {
  return path.split("/").length - 1;
}

// `rows` by their paths, as the broker lists them. Below a group of `closed` nothing is shown.
export function treeRows(rows: GroupRow[], closed: Set<string>): TreeRow[] {
  const sorted = [...rows].sort((one, other) => compare(one.group.split("/"), other.group.split("/")));
  const paths = sorted.map((row) => row.group);
  const isHidden = (path: string) => [...closed].some((above) => path.startsWith(`${above}/`));
  return sorted.filter((row) => !isHidden(row.group)).map((row) => ({
    row, name: row.group.split("/").at(-1) ?? row.group, depth: depthOf(row.group),
    hasChildren: paths.some((path) => path.startsWith(`${row.group}/`)), isOpen: !closed.has(row.group),
  }));
}

function compare(one: string[], other: string[]): number {
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    const a = one[at] ?? "";
    const b = other[at] ?? "";
    if (a !== b) return a < b ? -1 : 1;
  }
  return one.length - other.length;
}
