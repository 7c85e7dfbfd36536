// Who did what: the histories of the newest rollouts, put together.
import { useState } from "preact/hooks";
import * as api from "../broker/api.ts";
import { useAsked, useDesk, useNow } from "../hooks.ts";
import { localTime } from "../model/format.ts";
import type { Event, Status } from "../model/types.ts";
import { Empty, ErrorNote, Loading, When } from "../parts/basics.tsx";

const STEP = 10;
const BROKER = "the broker";

interface Line extends Event {
  status: Status;
}

async function load(requests: Parameters<typeof api.rollouts>[0], limit: number) {
  const list = await api.rollouts(requests, 0, limit);
  const histories = await Promise.all(list.rows.map((row) => api.rollout(requests, row.rollout, { history: true })));
  const lines: Line[] = histories.flatMap((answer, at) => (answer.events ?? []).map((event) => ({ ...event, status: list.rows[at]! })));
  return { lines: lines.sort((one, other) => other.time_ms - one.time_ms), shown: list.rows.length, total: list.total };
}

export function LogView() {
  const { session } = useDesk();
  const now = useNow(5000);
  const [limit, setLimit] = useState(STEP);
  const [people, setPeople] = useState(false);
  const { data, error } = useAsked(() => load(session.requests, limit), 5000, `log ${limit}`);
  const lines = (data?.lines ?? []).filter((line) => !people || line.who !== BROKER);
  return (
    <>
      <h1>Who did what</h1>
      <ErrorNote error={error} />
      {data === null && error === null && <Loading />}
      {data !== null && (
        <>
          <div class="filters">
            <label class="check"><input type="checkbox" checked={people} onChange={(event) => setPeople(event.currentTarget.checked)} /> People only, without what the broker did by itself</label>
          </div>
          {lines.length === 0 ? <Empty>Nothing has happened yet.</Empty> : (
            <div class="table-box">
              <table class="stacks">
                <thead><tr><th scope="col">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col">Rollout</th></tr></thead>
                <tbody>{lines.map((line, at) => (
                  <tr key={`${line.status.rollout} ${line.time_ms} ${at}`}>
                    <td class="nowrap" data-name="When"><When ms={line.time_ms} now={now} /> <span class="quiet">{localTime(line.time_ms)}</span></td>
                    <td class="nowrap" data-name="Who">{line.who}</td><td class="words" data-name="What">{line.what}</td>
                    <td class="nowrap" data-name="Rollout"><a href={`#/rollout/${line.status.rollout}`}>{line.status.product} {line.status.release}</a></td>
                  </tr>))}</tbody>
              </table>
            </div>)}
          <p class="quiet">Of the newest {data.shown} of {data.total} rollouts.</p>
          {data.shown < data.total && <button type="button" onClick={() => setLimit(limit + STEP)}>Older rollouts too</button>}
        </>)}
    </>
  );
}
