// The fleet at a glance: what needs somebody first.
import * as api from "../broker/api.ts";
import { useAsked, useDesk, useNow, useStore } from "../hooks.ts";
import { attention, type Attention } from "../model/attention.ts";
import { depthOf } from "../model/tree.ts";
import { bytes, count, percent } from "../model/format.ts";
import type { GroupRow, Status, Version } from "../model/types.ts";
import { Badge, Empty, ErrorNote, Figure, Loading } from "../parts/basics.tsx";
import { RolloutCard } from "../parts/rollout_card.tsx";

const POLL_MS = 5000;
// The newest ones; older rollouts are in the list of them.
const ROLLOUTS_SEEN = 50;
const CARDS = 6;

interface Glance {
  version: Version;
  rollouts: Status[];
  groups: GroupRow[];
  degraded: number;
}

function useGlance() {
  const { session, store } = useDesk();
  return useAsked<Glance>(async () => {
    const requests = session.requests;
    const [version, rollouts, groups, degraded] = await Promise.all([
      api.version(requests), api.rollouts(requests, 0, ROLLOUTS_SEEN), api.groups(requests, 0, 100), api.devices(requests, { only: "degraded" }, 0, 1)]);
    store.takeTime(version.time_ms);
    rollouts.rows.forEach((row) => store.put(row));
    return { version, rollouts: rollouts.rows, groups: groups.rows, degraded: degraded.total };
  }, POLL_MS, "fleet");
}

function AttentionList({ rows }: { rows: Attention[] }) {
  if (rows.length === 0) return <p class="note good">Nothing needs you: no rollout stands still or has failures.</p>;
  return (
    <ul class="attention">
      {rows.map((row) => (
        <li key={row.text} class={row.tone}>
          <Badge tone={row.tone}>{row.tone === "bad" ? "stands still" : "look at it"}</Badge>
          <span>{row.href === "" ? row.text : <a href={row.href}>{row.text}</a>}{row.detail !== "" && <span class="detail">{row.detail}</span>}</span>
        </li>
      ))}
    </ul>
  );
}

// What the devices of each outermost group run.
function Running({ groups }: { groups: GroupRow[] }) {
  const top = groups.filter((row) => depthOf(row.group) === 0 && row.devices > 0);
  if (top.length === 0) return <Empty>No devices yet: one appears when its instar-device connects.</Empty>;
  return (
    <div class="table-box">
      <table>
        <thead><tr><th scope="col">Group</th><th scope="col">Runs</th><th scope="col" class="number">Devices</th></tr></thead>
        <tbody>
          {top.flatMap((row) => row.releases.map((release, at) => (
            <tr key={`${row.group} ${release.product} ${release.release} ${release.sequence}`}>
              <td class="nowrap">{at === 0 ? <a href={`#/devices?group=${encodeURIComponent(row.group)}`}>{row.group}</a> : ""}</td>
              <td>{release.product} {release.release || <em>nothing yet</em>}</td>
              <td class="number">{release.devices.toLocaleString("en")} <span class="quiet">({percent(release.devices, row.devices)})</span></td>
            </tr>)))}
        </tbody>
      </table>
    </div>
  );
}

export function FleetView() {
  const store = useStore();
  const now = useNow(5000);
  const { data, error } = useGlance();
  if (data === null) return <><h1>Fleet</h1><ErrorNote error={error} />{error === null && <Loading />}</>;
  const rollouts = data.rollouts.map((row) => store.newest(row));
  const ids = new Set(rollouts.map((row) => row.rollout));
  const fresh = [...store.statuses.values()].filter((row) => !ids.has(row.rollout) && row.started_ms > (rollouts[0]?.started_ms ?? 0));
  const all = [...fresh, ...rollouts];
  const going = all.filter((row) => row.state === "active" || row.state === "paused");
  const { version } = data;
  const away = version.devices - version.devices_online;
  const rows = attention(all, version, data.degraded);
  return (
    <>
      <h1>Fleet</h1>
      <ErrorNote error={error} />
      <section aria-labelledby="needs">
        <h2 id="needs">Needs you</h2>
        <AttentionList rows={rows} />
      </section>
      <div class="figures">
        <Figure name="Devices" href="#/devices">{version.devices.toLocaleString("en")}</Figure>
        <Figure name="Connected" href="#/devices?only=connected" note={percent(version.devices_online, version.devices)}>{version.devices_online.toLocaleString("en")}</Figure>
        <Figure name="Not connected" href="#/devices?only=away">{away.toLocaleString("en")}</Figure>
        <Figure name="Degraded" href="#/devices?only=degraded">{data.degraded.toLocaleString("en")}</Figure>
        <Figure name="Rollouts under way" href="#/rollouts" note={`${version.rollouts.toLocaleString("en")} known`}>{going.length.toLocaleString("en")}</Figure>
        <Figure name="On the way to devices">{bytes(version.transfer_bytes_in_flight)}</Figure>
      </div>
      <section aria-labelledby="going">
        <h2 id="going">Rollouts under way</h2>
        {going.length === 0 ? <Empty>{all.length === 0 ? <>No rollouts yet; make one with <code>instar publish</code>.</> : "None is under way."}</Empty>
          : <div class="cards">{going.slice(0, CARDS).map((row) => <RolloutCard key={row.rollout} status={row} now={now} />)}</div>}
        {going.length > CARDS && <p><a href="#/rollouts">{count(going.length - CARDS, "more rollout")}</a></p>}
      </section>
      <section aria-labelledby="runs">
        <h2 id="runs">What runs</h2>
        <Running groups={data.groups} />
      </section>
    </>
  );
}
