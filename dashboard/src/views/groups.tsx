// The groups as a tree. They are loaded a hundred at a time.
import { useState } from "preact/hooks";
import * as api from "../broker/api.ts";
import { useAsked, useDesk } from "../hooks.ts";
import { count } from "../model/format.ts";
import { treeRows, type TreeRow } from "../model/tree.ts";
import type { GroupRow } from "../model/types.ts";
import { Badge, Empty, ErrorNote, Loading } from "../parts/basics.tsx";

const STEP = 100;

function Rollouts({ row }: { row: GroupRow }) {
  if (row.rollouts.length === 0) return <>-</>;
  return (
    <>{row.rollouts.map((each) => (
      <span key={each.product} class="line"><a href={`#/rollout/${each.rollout}`}>{each.product} {each.release}</a>{" "}
        <Badge tone={each.state === "complete" ? "good" : each.state === "active" ? "busy" : each.state === "paused" ? "bad" : "quiet"}>{each.state}</Badge></span>))}</>
  );
}

function Row({ row, onToggle }: { row: TreeRow; onToggle: () => void }) {
  const { group, devices, online, releases } = row.row;
  return (
    <tr>
      <th scope="row" class="tree-name"><span style={{ paddingLeft: `${row.depth * 20}px` }} class="tree-cell">
        {row.hasChildren
          ? <button type="button" class="fold" aria-expanded={row.isOpen} aria-label={`${row.isOpen ? "Fold" : "Unfold"} ${group}`} onClick={onToggle}>{row.isOpen ? "▾" : "▸"}</button>
          : <span class="fold" aria-hidden="true" />}
        <a href={`#/devices?group=${encodeURIComponent(group)}`} aria-label={`Devices of ${group}`}>{row.name}</a></span></th>
      <td class="number" data-name="Devices">{devices.toLocaleString("en")}</td>
      <td class="number" data-name="Connected">{online.toLocaleString("en")}</td>
      <td data-name="Rollout"><Rollouts row={row.row} /></td>
      <td data-name="Runs">{releases.map((each) => <span key={`${each.product} ${each.release} ${each.sequence}`} class="line">{each.product} {each.release || <em>nothing</em>} <span class="quiet">× {each.devices.toLocaleString("en")}</span></span>)}</td>
    </tr>
  );
}

async function load(requests: Parameters<typeof api.groups>[0], limit: number) {
  const rows: GroupRow[] = [];
  for (;;) {
    const page = await api.groups(requests, rows.length, Math.min(STEP, limit - rows.length));
    rows.push(...page.rows);
    if (page.rows.length === 0 || rows.length >= Math.min(limit, page.total)) return { rows, total: page.total };
  }
}

export function GroupsView() {
  const { session } = useDesk();
  const [limit, setLimit] = useState(STEP);
  const [closed, setClosed] = useState<Set<string>>(new Set());
  const { data, error } = useAsked(() => load(session.requests, limit), 5000, `groups ${limit}`);
  const toggle = (group: string) => setClosed((before) => {
    const after = new Set(before);
    if (!after.delete(group)) after.add(group);
    return after;
  });
  return (
    <>
      <h1>Groups</h1>
      <ErrorNote error={error} />
      {data === null && error === null && <Loading />}
      {data?.total === 0 && <Empty>No groups yet: they come with devices and releases.</Empty>}
      {data !== null && data.total > 0 && (
        <>
          <p class="quiet">{count(data.total, "group")}. A group counts the devices of the groups below it too.</p>
          <div class="table-box">
            <table class="tree stacks">
              <thead><tr><th scope="col">Group</th><th scope="col" class="number">Devices</th><th scope="col" class="number">Connected</th><th scope="col">Rollout in force</th><th scope="col">Runs</th></tr></thead>
              <tbody>{treeRows(data.rows, closed).map((row) => <Row key={row.row.group} row={row} onToggle={() => toggle(row.row.group)} />)}</tbody>
            </table>
          </div>
          {data.rows.length < data.total && <button type="button" onClick={() => setLimit(limit + STEP)}>Show {count(Math.min(STEP, data.total - data.rows.length), "more group")}</button>}
        </>)}
    </>
  );
}
