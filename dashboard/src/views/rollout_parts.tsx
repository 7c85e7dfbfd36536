// The tables of a rollout.
import { useState } from "preact/hooks";
import * as api from "../broker/api.ts";
import { useDesk, useNow, usePages } from "../hooks.ts";
import { basisPoints, bytes, codeText, count, shortSpan, span, stepWords } from "../model/format.ts";
import { NOT_TAKEN, of, segmentsText, stuckWave, UNDER_WAY, waveSegments, waveText } from "../model/outcome.ts";
import { STEPS, type Event, type Reason, type RolloutAnswer, type Status, type Step, type Wave } from "../model/types.ts";
import { Badge, Bar, Empty, ErrorNote, Loading, StepBadge, When } from "../parts/basics.tsx";
import { VirtualList } from "../parts/virtual_list.tsx";

function conditions(wave: Wave): string {
  const parts = [`${basisPoints(wave.success_bp)} must commit`, `${basisPoints(wave.quorum_bp)} report`];
  if (wave.soak_s > 0) parts.push(`soak ${span(wave.soak_s * 1000)}`);
  if (wave.approval) parts.push(wave.approved ? "approved" : "approval");
  return parts.join(", ");
}

function WaveState({ status, at }: { status: Status; at: number }) {
  const wave = status.waves[at];
  if (wave === undefined || wave.opened_ms === null) return <Badge tone="quiet">closed</Badge>;
  if (stuckWave(status) === at) return <Badge tone={status.state === "paused" ? "bad" : "warn"}>{status.state === "paused" ? "stuck here" : "wants approval"}</Badge>;
  if (at + 1 < status.wave) return <Badge tone={wave.failed > 0 ? "warn" : "good"}>done</Badge>;
  return <Badge tone="busy">open</Badge>;
}

export function WaveTable({ status, now }: { status: Status; now: number }) {
  const stuck = stuckWave(status);
  return (
    <section aria-labelledby="waves">
      <h2 id="waves">Waves</h2>
      <ol class="waves">
        {status.waves.map((wave, at) => (
          <li key={wave.wave} class={at === stuck ? "stuck" : wave.opened_ms === null ? "closed" : ""} aria-current={at + 1 === status.wave ? "step" : undefined}>
            <span class="wave-head"><strong>Wave {wave.wave}</strong> <WaveState status={status} at={at} /></span>
            <span class="wave-who">{waveText(wave, at + 1 === status.waves.length)}</span>
            {wave.opened_ms !== null && <Bar parts={waveSegments(wave)} total={wave.admitted} />}
            <span>{wave.opened_ms === null ? "" : `${count(wave.admitted, "device")}: ${segmentsText(waveSegments(wave))}`}{wave.silent > 0 && `; ${wave.silent} silent`}{wave.late > 0 && `; ${wave.late} came late`}</span>
            <span class="quiet">{at + 1 < status.waves.length ? `To open the next: ${conditions(wave)}` : "The last one"}{wave.opened_ms !== null && <> · opened <When ms={wave.opened_ms} now={now} /></>}</span>
          </li>))}
      </ol>
    </section>
  );
}

export function ReasonTable({ reasons }: { reasons: Reason[] }) {
  return (
    <section aria-labelledby="reasons">
      <h2 id="reasons">Reasons</h2>
      <div class="table-box">
        <table>
          <thead><tr><th scope="col" class="number">Devices</th><th scope="col">Reason</th></tr></thead>
          <tbody>{reasons.map((row) => <tr key={`${row.code} ${row.reason}`}><td class="number">{row.count.toLocaleString("en")}</td><td class="words">{codeText(row)}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  );
}

const FILTERS: { name: string; steps: Step[] }[] = [
  { name: "All", steps: [] }, { name: "Not taken", steps: NOT_TAKEN }, { name: "Under way", steps: UNDER_WAY },
  { name: "Waiting", steps: ["waiting"] }, { name: "Committed", steps: ["committed"] },
];

export function MembersPart({ status }: { status: Status }) {
  const { session } = useDesk();
  const now = useNow(5000);
  const [filter, setFilter] = useState(of(status, ...NOT_TAKEN) > 0 ? 1 : 0);
  const [match, setMatch] = useState("");
  const chosen = FILTERS[filter]!;
  const pages = usePages((offset, number) => api.members(session.requests, status.rollout, chosen.steps, match, offset, number), 5000, `${status.rollout} ${filter} ${match}`);
  const number = (steps: Step[]) => (steps.length === 0 ? status.devices : of(status, ...steps));
  return (
    <section aria-labelledby="members">
      <h2 id="members">Devices</h2>
      <div class="filters">
        <div role="group" aria-label="Which devices" class="chips">
          {FILTERS.map((each, at) => (
            <button key={each.name} type="button" class="chip" aria-pressed={at === filter} onClick={() => setFilter(at)}>{each.name} <span>{number(each.steps).toLocaleString("en")}</span></button>))}
        </div>
        <input type="search" aria-label="A part of the device's name" placeholder="part of a name" value={match} onInput={(event) => setMatch(event.currentTarget.value.trim())} />
      </div>
      <ErrorNote error={pages.error} />
      {pages.total < 0 && pages.error === null && <Loading />}
      {pages.total === 0 ? <Empty>None of its devices is such a one.</Empty> : (
        <VirtualList label="Devices of the rollout" kind="member-row" pages={pages} fill={50} columns={["Device", "State", "Fetched", "Down", "Changed", "Reason"]}
          row={(member) => (
            <>
              <span role="cell" class="main"><a href={`#/device/${member.device}`}>{member.device}</a>{!member.online && <span class="quiet"> away</span>}</span>
              <span role="cell"><StepBadge step={member.step} /></span>
              <span role="cell" class="wide">{bytes(member.bytes_fetched)} {member.pack_kind}</span>
              <span role="cell" class="wide">{member.downtime_ms > 0 ? shortSpan(member.downtime_ms) : "-"}</span>
              <span role="cell" class="time"><When ms={member.updated_ms} now={now} /></span>
              <span role="cell" class="reason" title={codeText(member)}>{codeText(member)}</span>
            </>)} />)}
    </section>
  );
}

export function EventTable({ events, now }: { events: Event[]; now: number }) {
  return (
    <section aria-labelledby="events">
      <h2 id="events">Who did what</h2>
      {events.length === 0 ? <Empty>Nothing has happened yet.</Empty> : (
        <div class="table-box tall" tabIndex={0} role="region" aria-label="Who did what, the newest first">
          <table class="stacks">
            <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th></tr></thead>
            <tbody>{[...events].reverse().map((event, at) => (
              <tr key={events.length - at}><td class="nowrap" data-name="When"><When ms={event.time_ms} now={now} /></td><td data-name="Who">{event.who}</td><td class="words" data-name="What">{event.what}</td></tr>))}</tbody>
          </table>
        </div>)}
    </section>
  );
}

export function GroupTable({ rows }: { rows: RolloutAnswer["by_group"] }) {
  const used = STEPS.filter((step) => rows.some((row) => (row.counts[step] ?? 0) > 0));
  return (
    <section aria-labelledby="by-group">
      <h2 id="by-group">By group</h2>
      <div class="table-box">
        <table class="stacks">
          <thead><tr><th scope="col">Group</th><th scope="col" class="number">Devices</th>{used.map((step) => <th key={step} scope="col" class="number">{stepWords(step)}</th>)}</tr></thead>
          <tbody>{rows.map((row) => (
            <tr key={row.group}><th scope="row">{row.group}</th><td class="number" data-name="Devices">{row.devices.toLocaleString("en")}</td>{used.map((step) => <td key={step} class="number" data-name={stepWords(step)}>{(row.counts[step] ?? 0).toLocaleString("en")}</td>)}</tr>))}</tbody>
        </table>
      </div>
    </section>
  );
}
