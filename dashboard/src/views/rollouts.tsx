import * as api from "../broker/api.ts";
import { useDesk, useNow, usePages, useStore } from "../hooks.ts";
import { bytes, count } from "../model/format.ts";
import { NOT_TAKEN, of, segments } from "../model/outcome.ts";
import { Bar, Empty, ErrorNote, Loading, StateBadge, When } from "../parts/basics.tsx";
import { VirtualList } from "../parts/virtual_list.tsx";

export function RolloutsView() {
  const { session } = useDesk();
  const store = useStore();
  const now = useNow(5000);
  const pages = usePages((offset, number) => api.rollouts(session.requests, offset, number), 5000, "rollouts");
  return (
    <>
      <h1>Rollouts</h1>
      <ErrorNote error={pages.error} />
      {pages.total < 0 && pages.error === null && <Loading />}
      {pages.total === 0 && <Empty>No rollouts yet; make one with <code>instar publish</code>.</Empty>}
      {pages.total > 0 && <p class="quiet">{count(pages.total, "rollout")}, the newest first</p>}
      {pages.total > 0 && (
        <VirtualList label="Rollouts" kind="rollout-row" pages={pages} fill={68} columns={["Release", "State", "Groups", "Devices", "Not taken", "Sent", "Started"]}
          row={(listed) => {
            const status = store.newest(listed);
            return (
              <>
                <span role="cell" class="main"><a href={`#/rollout/${status.rollout}`}>{status.product} {status.release}</a></span>
                <span role="cell"><StateBadge status={status} /></span>
                <span role="cell" class="wide">{status.groups.join(", ")}</span>
                <span role="cell" class="bar-cell"><Bar parts={segments(status)} total={status.devices} /><span>{of(status, "committed").toLocaleString("en")}/{status.devices.toLocaleString("en")}</span></span>
                <span role="cell" class="wide">{of(status, ...NOT_TAKEN).toLocaleString("en")}</span>
                <span role="cell" class="wide">{bytes(status.bytes_sent)}</span>
                <span role="cell" class="time"><When ms={status.started_ms} now={now} /></span>
              </>);
          }} />)}
    </>
  );
}
