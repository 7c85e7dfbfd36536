import * as api from "../broker/api.ts";
import { useDesk, useNow, usePages } from "../hooks.ts";
import { count } from "../model/format.ts";
import { href } from "../model/routes.ts";
import { Badge, Empty, ErrorNote, Loading, When } from "../parts/basics.tsx";
import { VirtualList } from "../parts/virtual_list.tsx";
import type { DeviceRow } from "../model/types.ts";

const ONLY = [["", "All"], ["connected", "Connected"], ["away", "Not connected"], ["degraded", "Degraded"], ["unknown", "Never took part"]] as const;

function go(query: Record<string, string>) {
  history.replaceState(null, "", href("devices", "", query));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function Row({ device, now }: { device: DeviceRow; now: number }) {
  return (
    <>
      <span role="cell" class="main"><a href={`#/device/${device.device}`}>{device.device}</a>
        {device.cloned && <span class="quiet"> cloned?</span>}{device.other_key_ms !== undefined && <span class="quiet"> other key</span>}</span>
      <span role="cell"><Badge tone={device.online ? "good" : "quiet"}>{device.online ? "connected" : "away"}</Badge></span>
      <span role="cell">{device.running?.release ? `${device.product} ${device.running.release}` : `${device.product}, nothing yet`}</span>
      <span role="cell" class="wide">{device.target_release && device.target_release !== device.running?.release ? `→ ${device.target_release}` : "-"}</span>
      <span role="cell" class="time"><When ms={device.last_seen_ms} now={now} /></span>
      <span role="cell" class="wide">{device.groups.join(", ")}</span>
    </>
  );
}

export function DevicesView({ query }: { query: Record<string, string> }) {
  const { session } = useDesk();
  const now = useNow(5000);
  const asked = { group: query["group"] ?? "", match: query["match"] ?? "", only: query["only"] ?? "" };
  const pages = usePages((offset, number) => api.devices(session.requests, asked, offset, number), 5000, JSON.stringify(asked));
  const isFiltered = asked.group !== "" || asked.match !== "" || asked.only !== "";
  return (
    <>
      <h1>Devices</h1>
      <div class="filters">
        <div role="group" aria-label="Which devices" class="chips">
          {ONLY.map(([only, name]) => <button key={only} type="button" class="chip" aria-pressed={asked.only === only} onClick={() => go({ ...asked, only })}>{name}</button>)}
        </div>
        <input type="search" aria-label="A part of the device's name" placeholder="part of a name" value={asked.match} onInput={(event) => go({ ...asked, match: event.currentTarget.value.trim() })} />
        {asked.group !== "" && <button type="button" class="chip" aria-label={`No longer only ${asked.group}`} onClick={() => go({ ...asked, group: "" })}>{asked.group} ✕</button>}
      </div>
      <ErrorNote error={pages.error} />
      {pages.total < 0 && pages.error === null && <Loading />}
      {pages.total === 0 && <Empty>{isFiltered ? "No device is such a one." : "No devices known here; one appears when its instar-device connects."}</Empty>}
      {pages.total > 0 && <p class="quiet" role="status">{count(pages.total, "device")}</p>}
      {pages.total > 0 && (
        <VirtualList label="Devices" kind="device-row" pages={pages} fill={62} columns={["Device", "Connection", "Runs", "Target", "Last seen", "Groups"]}
          row={(device) => <Row device={device} now={now} />} />)}
    </>
  );
}
