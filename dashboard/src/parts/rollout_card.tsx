import { count } from "../model/format.ts";
import { finished, segments } from "../model/outcome.ts";
import type { Status } from "../model/types.ts";
import { Bar, StateBadge, When } from "./basics.tsx";

export function RolloutCard({ status, now }: { status: Status; now: number }) {
  return (
    <a class="card" href={`#/rollout/${status.rollout}`}>
      <span class="card-head"><strong>{status.product} {status.release}</strong><StateBadge status={status} /></span>
      <span class="quiet">for {status.groups.join(", ")}{status.waves.length > 1 && ` · wave ${status.wave} of ${status.waves.length}`}</span>
      <Bar parts={segments(status)} total={status.devices} />
      <span>{finished(status).toLocaleString("en")} of {count(status.devices, "device")} have come to an end</span>
      {(status.cause || status.waits_for) !== "" && <span class="why">{status.cause !== "" ? status.cause : `waits for ${status.waits_for}`}</span>}
      <span class="quiet">started <When ms={status.started_ms} now={now} />, last change <When ms={status.updated_ms} now={now} /></span>
    </a>
  );
}
