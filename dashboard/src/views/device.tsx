// One device: what it is and runs, what is wrong, what it has reported.
import * as api from "../broker/api.ts";
import { useAsked, useDesk, useNow } from "../hooks.ts";
import { bytes, codeText, localTime, shortSpan, span } from "../model/format.ts";
import type { DeviceAnswer, Report, Revision } from "../model/types.ts";
import { Badge, Empty, ErrorNote, Fields, Loading, StepBadge, When } from "../parts/basics.tsx";

// A hello takes its time too.
const SAME_TIME_MS = 5000;

function RevisionText({ revision }: { revision: Revision | null }) {
  if (revision === null || revision.release === "") return <>none</>;
  return <>{revision.product} <a href={`#/rollout/${revision.rollout}`}>{revision.release}</a> (sequence {revision.sequence})</>;
}

function clockText(device: DeviceAnswer): string {
  const knows = { none: "keeps no time while it is off", free: "not synchronized", synchronized: "synchronized" }[device.clock] ?? "it does not say";
  const offset = device.clock_offset_ms;
  if (offset === null) return knows;
  if (Math.abs(offset) < SAME_TIME_MS) return `${knows}; as the broker's at its last hello`;
  return `${knows}; ${span(Math.abs(offset))} ${offset > 0 ? "behind" : "ahead of"} the broker's at its last hello`;
}

// What went wrong: doubts about who it is, what is degraded, and the words of the last failure.
function Troubles({ device, now }: { device: DeviceAnswer; now: number }) {
  const last = device.last_reports.at(-1);
  const bad = last !== undefined && last.code !== "ok" && last.code !== "" ? last : undefined;
  if (device.degraded.length === 0 && !device.cloned && device.other_key_ms === undefined && bad === undefined) return null;
  return (
    <div class="standing warn">
      {bad !== undefined && <><p class="says">Its last report, <When ms={bad.received_ms} now={now} />: {bad.step.replace("_", " ")}, {bad.code}</p>{bad.reason !== "" && <pre class="last-words">{bad.reason}</pre>}</>}
      {device.degraded.length > 0 && <><p class="says">Degraded</p><ul>{device.degraded.map((text) => <li key={text}>{text}</li>)}</ul></>}
      {device.cloned && <p>Two devices have spoken with this name and key, <When ms={device.cloned_ms} now={now} />. Give one of them a name and a key of its own.</p>}
      {device.other_key_ms !== undefined && (
        <p>Another key says hello as {device.device} and is refused, <When ms={device.other_key_ms} now={now} />. If that is new hardware, take it in with <code>instar devices replace {device.device} --key-id {device.other_key_id}</code></p>)}
    </div>
  );
}

function Reports({ reports, now }: { reports: Report[]; now: number }) {
  if (reports.length === 0) return <Empty>It has reported nothing yet.</Empty>;
  return (
    <div class="table-box tall" tabIndex={0} role="region" aria-label="Reports, the newest first">
      <table class="stacks">
        <thead><tr><th scope="col">When</th><th scope="col">State</th><th scope="col">Rollout</th><th scope="col" class="number">Attempt</th><th scope="col" class="number">Fetched</th><th scope="col">Reason</th></tr></thead>
        <tbody>{[...reports].reverse().map((report) => (
          <tr key={report.sequence}>
            <td class="nowrap" data-name="When"><When ms={report.received_ms} now={now} /></td>
            <td data-name="State"><StepBadge step={report.step} /></td>
            <td data-name="Rollout">{report.rollout === null ? "-" : <a href={`#/rollout/${report.rollout}`}>{report.rollout.slice(0, 8)}</a>}</td>
            <td class="number" data-name="Attempt">{report.attempt}</td>
            <td class="number" data-name="Fetched">{bytes(report.bytes_fetched)}</td>
            <td class="words" data-name="Reason">{codeText(report) || "-"}</td>
          </tr>))}</tbody>
      </table>
    </div>
  );
}

function Taken({ rows, now }: { rows: DeviceAnswer["rollouts"]; now: number }) {
  if (rows.length === 0) return <Empty>It is in no rollout that the broker keeps.</Empty>;
  return (
    <div class="table-box">
      <table class="stacks">
        <thead><tr><th scope="col">Release</th><th scope="col">State</th><th scope="col" class="number">Wave</th><th scope="col" class="number">Fetched</th><th scope="col" class="number">Down</th><th scope="col">Changed</th><th scope="col">Reason</th></tr></thead>
        <tbody>{[...rows].sort((one, other) => other.sequence - one.sequence).map((row) => (
          <tr key={row.rollout}>
            <td data-name="Release"><a href={`#/rollout/${row.rollout}`}>{row.release}</a></td>
            <td data-name="State"><StepBadge step={row.step} /></td>
            <td class="number" data-name="Wave">{row.wave ?? "-"}</td>
            <td class="number" data-name="Fetched">{bytes(row.bytes_fetched)} of {bytes(row.bytes_full)}{row.pack_kind !== "" && ` (${row.pack_kind})`}</td>
            <td class="number" data-name="Down">{row.downtime_ms > 0 ? shortSpan(row.downtime_ms) : "-"}</td>
            <td class="nowrap" data-name="Changed"><When ms={row.updated_ms} now={now} /></td>
            <td class="words" data-name="Reason">{codeText(row) || "-"}</td>
          </tr>))}</tbody>
      </table>
    </div>
  );
}

function Facts({ device, now }: { device: DeviceAnswer; now: number }) {
  return (
    <Fields rows={[
      ["Product", device.product], ["Groups", device.groups.join(", ")], ["Last seen", <When ms={device.last_seen_ms} now={now} />],
      ["First seen", localTime(device.first_seen_ms)], ["Machine", `${device.architecture || "?"}, kernel ${device.kernel || "?"}`], ["Client", device.client_version || "?"],
      ["Storage free", bytes(device.free_bytes)], ["Memory", bytes(device.memory_bytes)], ["Link", device.metered ? "metered" : "not metered"],
      ["Clock", clockText(device)], ["Sent to it", bytes(device.bytes_sent)], ["Takes", `releases above sequence ${device.highest_sequence}`],
      ["Mounts images", device.image_formats.join(", ") || "none"], ["Has handlers", device.handlers.join(", ") || "none"], ["Came by login", device.login || "-"],
      ["Key", device.public_key === null ? "none: it is replaced, and its new key has not come yet" : <code class="key-text">{device.public_key}</code>],
    ]} />
  );
}

export function DeviceView({ id }: { id: string }) {
  const { session } = useDesk();
  const now = useNow();
  const { data: device, error } = useAsked(() => api.device(session.requests, id), 3000, `device ${id}`);
  return (
    <>
      <p class="crumb"><a href="#/devices">Devices</a></p>
      <h1 class="with-badge">{id} {device !== null && <Badge tone={device.online ? "good" : "quiet"}>{device.online ? "connected" : "not connected"}</Badge>}</h1>
      <ErrorNote error={error} />
      {device === null && error === null && <Loading />}
      {device !== null && (
        <>
          <Troubles device={device} now={now} />
          <section aria-labelledby="revisions">
            <h2 id="revisions">Revisions</h2>
            <Fields rows={[["Current", <RevisionText revision={device.running} />], ["Previous", <RevisionText revision={device.previous} />],
              ["Target", device.target === null ? "none" : <a href={`#/rollout/${device.target}`}>{device.target_release}</a>]]} />
          </section>
          <section aria-labelledby="history"><h2 id="history">History</h2><Reports reports={device.last_reports} now={now} /></section>
          <section aria-labelledby="taken"><h2 id="taken">Rollouts</h2><Taken rows={device.rollouts} now={now} /></section>
          <section aria-labelledby="device-facts"><h2 id="device-facts">Facts</h2><Facts device={device} now={now} /></section>
        </>)}
    </>
  );
}
