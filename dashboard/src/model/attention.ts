// What a person should look at first, worst first.
import { count, span, codeText } from "./format.ts";
import { needsApproval, of } from "./outcome.ts";
import type { Status, Version } from "./types.ts";

export interface Attention {
  tone: "bad" | "warn";
  text: string;
  detail: string;
  href: string;
}

const DAY_MS = 86_400_000;
const EXPIRY_WARNS_MS = 30 * DAY_MS;

function ofRollout(status: Status): Attention | null {
  const href = `#/rollout/${status.rollout}`;
  const name = `${status.product} ${status.release}`;
  const most = status.reasons[0];
  const why = most === undefined ? "" : `${most.count} × ${codeText(most)}`;
  const where = status.waves.length > 1 ? ` in wave ${status.wave} of ${status.waves.length}` : "";
  if (status.state === "paused" && status.cause !== "") return { tone: "bad", text: `${name} is paused${where}: ${status.cause}`, detail: why, href };
  if (status.state === "paused") return { tone: "warn", text: `${name} is paused${where} by an operator`, detail: why, href };
  if (needsApproval(status)) return { tone: "warn", text: `${name} waits for an approval to open wave ${status.wave + 1} of ${status.waves.length}`, detail: why, href };
  const failed = of(status, "rolled_back", "failed");
  if (status.state === "active" && failed > 0) return { tone: "warn", text: `${name}: ${count(failed, "device")} failed or rolled back${where}`, detail: why, href };
  if (status.state === "complete" && status.outcome !== "complete" && status.superseded_by === null)
    return { tone: "warn", text: `${name}: ${status.outcome}`, detail: why, href };
  return null;
}

function ofBroker(version: Version): Attention[] {
  const out: Attention[] = [];
  if (!version.clock.ok && !version.clock.trusted)
    out.push({ tone: "bad", text: "The broker's clock is in doubt: no wave opens", detail: version.clock.reason, href: "" });
  const left = version.root_expires_ms - version.time_ms;
  if (version.root_expires_ms > 0 && left < 0)
    out.push({ tone: "bad", text: `The root document expired ${span(-left)} ago: nothing new begins`, detail: "Publish a newer one: instar root new-version, instar root publish", href: "" });
  else if (version.root_expires_ms > 0 && left < EXPIRY_WARNS_MS)
    out.push({ tone: "warn", text: `The root document expires in ${span(left)}`, detail: "Publish a newer one: instar root new-version, instar root publish", href: "" });
  if (version.root_behind !== null)
    out.push({ tone: "warn", text: `${count(version.root_behind.devices, "device")} hold a newer root document than the broker`, detail: `version ${version.root_behind.newest}, the broker has ${version.root_behind.ours}`, href: "" });
  if (version.devices_cloned > 0)
    out.push({ tone: "warn", text: `${count(version.devices_cloned, "name")} used by two devices`, detail: "two devices spoke under one name and key within the last seven days", href: "#/devices" });
  if (version.hellos_not_enrolled > 0)
    out.push({ tone: "warn", text: `${count(version.hellos_not_enrolled, "hello")} of devices that are not enrolled`, detail: "instar devices list --unknown names them", href: "" });
  return out;
}

export function attention(rollouts: Status[], version: Version | null, degraded: number): Attention[] {
  const out = rollouts.map(ofRollout).filter((each): each is Attention => each !== null);
  if (version !== null) out.push(...ofBroker(version));
  if (degraded > 0) out.push({ tone: "warn", text: `${count(degraded, "device")} degraded`, detail: "something does not work there as it should, while a revision runs", href: "#/devices?only=degraded" });
  return [...out.filter((each) => each.tone === "bad"), ...out.filter((each) => each.tone === "warn")];
}
