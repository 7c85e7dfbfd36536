// What a rollout has come to, in the words of `instar rollout show`.
import { count } from "./format.ts";
import type { Status, Step, Wave } from "./types.ts";

export const NOT_TAKEN: Step[] = ["rolled_back", "failed", "refused"];
export const UNDER_WAY: Step[] = ["fetching", "staging", "trying"];

export function of(status: Status, ...steps: Step[]): number {
  return steps.reduce((sum, step) => sum + (status.counts[step] ?? 0), 0);
}

export function finished(status: Status): number {
  return of(status, "committed", ...NOT_TAKEN) - Math.min(status.retrying, of(status, ...NOT_TAKEN));
}

export function isOver(status: Status): boolean {
  return ["complete", "superseded", "aborted", "reverted", "refused"].includes(status.state);
}

export function stateText(status: Status): string {
  return status.state === "complete" && status.outcome !== "" ? status.outcome : status.state;
}

export type Tone = "good" | "bad" | "warn" | "busy" | "quiet";

export function tone(status: Status): Tone {
  if (status.state === "paused") return status.cause === "" ? "warn" : "bad";
  if (status.state === "complete") return status.outcome === "complete" ? "good" : "warn";
  if (status.state === "active") return status.failures > 0 || needsApproval(status) ? "warn" : "busy";
  if (status.state === "aborted" || status.state === "reverted") return "bad";
  return "quiet";
}

export function needsApproval(status: Status): boolean {
  return status.state === "active" && status.waits_for.includes("approval");
}

// "205 of 219 devices have committed, 14 rolled back"
export function resultsText(status: Status): string {
  const committed = of(status, "committed");
  const words: [Step, string][] = [["rolled_back", "rolled back"], ["failed", "failed"], ["refused", "refused it"]];
  return `${committed.toLocaleString("en")} of ${count(status.devices, "device")} ${committed === 1 ? "has" : "have"} committed`
    + words.filter(([step]) => of(status, step) > 0).map(([step, text]) => `, ${of(status, step).toLocaleString("en")} ${text}`).join("");
}

// Which devices a wave lets begin: "3 named devices", "20 devices", "10 % of the devices".
export function waveText(wave: Wave, isLast: boolean): string {
  const parts = [];
  if (wave.named > 0) parts.push(count(wave.named, "named device"));
  if (wave.device_count > 0) parts.push(count(wave.device_count, "device"));
  if (wave.share_bp >= 10_000 || (isLast && parts.length === 0)) return "everyone else";
  if (wave.share_bp > 0) parts.push(`${Number((wave.share_bp / 100).toFixed(2))} % of all devices, with those before`);
  return parts.join(" and ") || "nobody more";
}

// The wave that a rollout stands still in, from 0; -1 where it does not stand still.
export function stuckWave(status: Status): number {
  const open = Math.min(Math.max(status.wave, 1), Math.max(status.waves.length, 1)) - 1;
  if (status.state === "paused" && status.cause !== "") return open;
  return needsApproval(status) ? open : -1;
}

export interface Segment {
  name: string;
  number: number;
  kind: string;
}

// Of a rollout's devices; they add up to all of them.
export function segments(status: Status): Segment[] {
  const all: Segment[] = [
    { name: "committed", number: of(status, "committed"), kind: "committed" },
    { name: "under way", number: of(status, ...UNDER_WAY), kind: "flight" },
    { name: "rolled back or failed", number: of(status, "rolled_back", "failed"), kind: "failed" },
    { name: "refused", number: of(status, "refused"), kind: "refused" },
    { name: "waiting", number: of(status, "waiting"), kind: "waiting" },
  ];
  return all.filter((segment) => segment.number > 0);
}

export function waveSegments(wave: Wave): Segment[] {
  const all: Segment[] = [
    { name: "committed", number: wave.committed, kind: "committed" },
    { name: "under way", number: wave.in_flight, kind: "flight" },
    { name: "retrying", number: wave.retrying, kind: "retrying" },
    { name: "failed", number: wave.failed, kind: "failed" },
    { name: "refused", number: wave.refused, kind: "refused" },
    { name: "waiting", number: wave.waiting, kind: "waiting" },
  ];
  return all.filter((segment) => segment.number > 0);
}

export function segmentsText(parts: Segment[]): string {
  return parts.map((part) => `${part.number.toLocaleString("en")} ${part.name}`).join(", ") || "no devices yet";
}
