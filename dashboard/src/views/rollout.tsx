// One rollout: where it stands, why, and what moves it on.
import { useEffect, useState } from "preact/hooks";
import * as api from "../broker/api.ts";
import { useAsked, useDesk, useNow, useStore } from "../hooks.ts";
import { codeText, bytes, count, percent, span } from "../model/format.ts";
import { finished, isOver, NOT_TAKEN, of, resultsText, segments, stuckWave } from "../model/outcome.ts";
import { pastOf, rateOf, timeToGo, type Sample } from "../model/rate.ts";
import type { Member, Status } from "../model/types.ts";
import { Bar, ErrorNote, Fields, Figure, Loading, StateBadge, When } from "../parts/basics.tsx";
import { Plot } from "../parts/plot.tsx";
import { ActionButtons } from "./rollout_actions.tsx";
import { EventTable, GroupTable, MembersPart, ReasonTable, WaveTable } from "./rollout_parts.tsx";

const POLL_MS = 5000;
// Members that have come to an end, whose times make the plot's past: all where they are few, some where they are many.
const PAST_PAGES = 4;
const PAST_ROWS = 250;

// Why it stands still, or what it waits for, with the most frequent reason: what is looked for first.
function Standing({ status }: { status: Status }) {
  const most = status.reasons[0];
  const stuck = stuckWave(status);
  const isStopped = status.state === "paused" || stuck >= 0;
  const where = status.waves.length > 1 ? `Wave ${status.wave} of ${status.waves.length} ` : "It ";
  const waits = status.waits_for === "" ? "" : `${where}waits for ${status.waits_for}.`;
  const says = status.cause !== "" ? `The broker ${status.state === "paused" ? "paused" : status.state} it: ${status.cause}.`
    : status.state === "paused" ? "An operator paused it: no further device begins." : waits;
  if (says === "" && most === undefined) return null;
  return (
    <div class={`standing ${isStopped ? (status.cause !== "" ? "bad" : "warn") : "plain"}`}>
      {says !== "" && <p class="says">{says}</p>}
      {says !== waits && waits !== "" && <p>{waits}</p>}
      {most !== undefined && <p>Most frequent reason, {count(most.count, "device")}: <strong>{codeText(most)}</strong></p>}
      {status.superseded_by !== null && <p>A newer rollout has taken over in its groups: <a href={`#/rollout/${status.superseded_by}`}>{status.superseded_by}</a></p>}
    </div>
  );
}

function Progress({ status, samples, now }: { status: Status; samples: Sample[]; now: number }) {
  const rate = rateOf(status, samples, now);
  const saved = Math.max(0, status.bytes_full - status.bytes_sent);
  const perMinute = rate.devicesPerMinute;
  return (
    <div class="figures">
      <Figure name="Come to an end" note={`of ${count(status.devices, "device")}`}>{finished(status).toLocaleString("en")}</Figure>
      <Figure name="Time to go">{timeToGo(status, rate, span)}</Figure>
      <Figure name={isOver(status) ? "Rate, on the whole" : "Rate"} note={`${bytes(rate.bytesPerSecond)}/s sent`}>{perMinute >= 10 ? Math.round(perMinute) : perMinute.toFixed(1)} devices/min</Figure>
      <Figure name="Sent" note={status.bytes_budget > 0 ? `of at most ${bytes(status.bytes_budget)}` : undefined}>{bytes(status.bytes_sent)}</Figure>
      <Figure name="Saved" note={status.bytes_full > 0 ? `${percent(saved, status.bytes_full)} of ${bytes(status.bytes_full)}, if every device had fetched the whole` : "no device has reported yet"}>{bytes(saved)}</Figure>
    </div>
  );
}

interface Past {
  rows: Member[];
  total: number;
}

// Of those that have come to an end as many as PAST_PAGES have, evenly spread over the list.
async function loadPast(requests: Parameters<typeof api.members>[0], id: string): Promise<Past> {
  const ask = (offset: number) => api.members(requests, id, ["committed", ...NOT_TAKEN], "", offset, PAST_ROWS);
  const { rows, total } = await ask(0);
  const all = [...rows];
  const stride = total > PAST_PAGES * PAST_ROWS ? Math.floor(total / PAST_PAGES) : 0;
  for (let page = 1; page < 2 * PAST_PAGES && all.length < Math.min(total, PAST_PAGES * PAST_ROWS); page += 1) {
    const more = await ask(stride === 0 ? all.length : page * stride);
    if (more.rows.length === 0) break;
    all.push(...more.rows);
  }
  return { rows: all, total };
}

function History({ status, samples, now }: { status: Status; samples: Sample[]; now: number }) {
  const { session } = useDesk();
  const [past, setPast] = useState<Past | null>(null);
  useEffect(() => {
    loadPast(session.requests, status.rollout).then(setPast, () => setPast({ rows: [], total: 0 }));
  }, [status.rollout]);
  const first = samples[0];
  if (past === null || first === undefined) return <p class="empty plot-room" role="status">asking the broker …</p>;
  const before = pastOf(past.rows, past.total, status.started_ms, first);
  // What goes on is drawn up to now; a rollout that is over ends where it ended.
  const end = isOver(status) ? [] : [{ ...samples[samples.length - 1]!, time: now }];
  const note = past.rows.length < past.total
    ? `before ${new Date(first.time).toLocaleTimeString("en-GB")}: estimated from ${past.rows.length} of ${count(past.total, "device")} that have come to an end` : "";
  return <Plot samples={[...before, ...samples, ...end]} devices={status.devices} note={note} />;
}

function Facts({ status, now }: { status: Status; now: number }) {
  const { budget } = status;
  const limit = budget.failures_max > 0 ? count(budget.failures_max, "failure") : budget.failures_bp > 0 ? `${budget.failures_bp / 100} % failures` : "";
  return (
    <Fields rows={[
      ["Rollout", <code>{status.rollout}</code>], ["Sequence", String(status.sequence)], ["Groups", status.groups.join(", ")],
      ["Started", <When ms={status.started_ms} now={now} />], ["Last change", <When ms={status.updated_ms} now={now} />],
      ["Error budget", limit === "" ? "none" : `${limit}, then ${budget.action}`],
      ...(status.asking > 0 ? [["Asking for a turn", count(status.asking, "device")] as [string, string]] : []),
    ]} />
  );
}

export function RolloutView({ id }: { id: string }) {
  const { session } = useDesk();
  const store = useStore();
  const now = useNow();
  const asked = useAsked(async () => {
    const answer = await api.rollout(session.requests, id, { history: true });
    store.takeTime(answer.time_ms);
    store.put(answer);
    return answer;
  }, POLL_MS, `rollout ${id}`);
  const answer = asked.data;
  if (answer === null) return <><h1>Rollout {id}</h1><ErrorNote error={asked.error} />{asked.error === null && <Loading />}</>;
  const status = store.newest(answer);
  const samples = store.samples.get(status.rollout) ?? [];
  return (
    <>
      <p class="crumb"><a href="#/rollouts">Rollouts</a></p>
      <h1 class="with-badge">{status.product} {status.release} <StateBadge status={status} /></h1>
      <ErrorNote error={asked.error} />
      {!answer.clock.ok && !answer.clock.trusted && <p class="note bad">The broker's clock is in doubt, so no wave opens: {answer.clock.reason}</p>}
      {answer.devices_ahead !== null && (
        <p class="note warn">{count(answer.devices_ahead.devices, "device")} of its groups refuse it: they have obeyed sequence {answer.devices_ahead.highest_sequence} already. Publish it again, with the sequence that is chosen now.</p>)}
      <Standing status={status} />
      <ActionButtons status={status} onDone={(after) => (store.put(after), asked.again())} />
      <section aria-labelledby="progress">
        <h2 id="progress">Progress</h2>
        <Bar parts={segments(status)} total={status.devices} legend />
        <p>{resultsText(status)}{of(status, "waiting") > 0 && `, ${of(status, "waiting").toLocaleString("en")} waiting`}.</p>
        <Progress status={status} samples={samples} now={now} />
      </section>
      {status.waves.length > 1 && <WaveTable status={status} now={now} />}
      {status.reasons.length > 0 && <ReasonTable reasons={status.reasons} />}
      <section aria-labelledby="over-time"><h2 id="over-time">Over time</h2><History status={status} samples={samples} now={now} /></section>
      <MembersPart status={status} />
      <EventTable events={answer.events ?? []} now={now} />
      {answer.by_group.length > 1 && <GroupTable rows={answer.by_group} />}
      <section aria-labelledby="facts"><h2 id="facts">Facts</h2><Facts status={status} now={now} /></section>
    </>
  );
}
