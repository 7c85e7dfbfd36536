// The buttons that move a rollout on: which there are in its state, and what each will do. Whether the broker takes one is its own decision.
import { count } from "./format.ts";
import { needsApproval, of, waveText } from "./outcome.ts";
import type { Status } from "./types.ts";

export interface Action {
  verb: "approve" | "retry" | "resume" | "pause" | "abort" | "revert";
  label: string;
  // In this order; `words`: the verbs of `instar rollout` that do the same.
  commands: string[];
  words: string[];
  parameters: Record<string, unknown>;
  // What moves on a rollout that stands still.
  isNext: boolean;
  isGrave: boolean;
  does: string[];
}

function waveAfter(status: Status): string[] {
  const next = status.waves[status.wave];
  if (next === undefined) return [`The broker takes the approval of wave ${status.wave}.`];
  const more = status.devices - status.waves.slice(0, status.wave).reduce((sum, wave) => sum + wave.admitted, 0);
  const isLast = status.wave + 1 === status.waves.length;
  const share = next.share_bp > 0 && next.share_bp < 10_000 && next.named + next.device_count === 0
    ? Math.max(0, Math.round((status.devices * next.share_bp) / 10_000) - (status.devices - more)) : more;
  return [
    `Wave ${status.wave + 1} of ${status.waves.length} opens when the other conditions of wave ${status.wave} hold too: ${waveText(next, isLast)}.`,
    `Up to about ${count(Math.max(0, next.named + next.device_count > 0 && !isLast ? next.named + next.device_count : share), "more device")} may begin then. An approval cannot be taken back; pausing stops those that have not begun.`,
  ];
}

function approve(status: Status): Action {
  return { verb: "approve", label: `Approve wave ${status.wave + 1}`, commands: ["approveRollout"], words: ["approve"], parameters: { wave: status.wave },
           isNext: true, isGrave: false, does: waveAfter(status) };
}

function retry(status: Status): Action {
  const failed = of(status, "failed", "rolled_back");
  const refused = of(status, "refused");
  const isPaused = status.state === "paused";
  const does = [`Devices that failed, or refused, may try the same release again: ${count(failed + refused, "device")}.`];
  if (isPaused) does.push("The rollout is resumed: devices of the open waves that wait may begin too.");
  does.push("Each may fetch again what it does not hold any more.");
  return { verb: "retry", label: isPaused ? "Retry and resume" : "Retry", commands: isPaused ? ["retryRollout", "resumeRollout"] : ["retryRollout"],
           words: isPaused ? ["retry", "resume"] : ["retry"], parameters: {}, isNext: true, isGrave: false, does };
}

function resume(status: Status): Action {
  const does = ["Devices of the open waves begin again, in spite of what stopped the rollout."];
  if (status.failures > 0) does.push(`The ${count(status.failures, "failure")} until now no longer count against the error budget.`);
  return { verb: "resume", label: "Resume", commands: ["resumeRollout"], words: ["resume"], parameters: {}, isNext: true, isGrave: false, does };
}

function pause(status: Status): Action {
  return { verb: "pause", label: "Pause", commands: ["pauseRollout"], words: ["pause"], parameters: {}, isNext: false, isGrave: false,
           does: [`No further device begins: ${count(of(status, "waiting"), "device")} now waiting. Those under way go on to their end.`,
                  "Resume lets it go on."] };
}

function abort(status: Status): Action {
  return { verb: "abort", label: "Abort", commands: ["abortRollout"], words: ["abort"], parameters: {}, isNext: false, isGrave: true,
           does: ["The rollout ends for good.", `Devices that have not switched stop and stay with what they run: ${count(status.devices - of(status, "committed"), "device")} until now.`,
                  `Those that have committed keep release ${status.release}: ${count(of(status, "committed"), "device")}.`] };
}

function revert(status: Status): Action {
  return { verb: "revert", label: "Revert", commands: ["revertRollout"], words: ["revert"], parameters: {}, isNext: false, isGrave: true,
           does: [`Devices that have committed release ${status.release} go back to the revision before it, and their containers restart: ${count(of(status, "committed"), "device")}.`,
                  "Everyone else stops. The rollout ends for good.",
                  "The broker refuses this where the release was published without --revert-allowed."] };
}

export function actions(status: Status): Action[] {
  const committed = of(status, "committed");
  const failed = of(status, "failed", "rolled_back");
  const out: Action[] = [];
  if (needsApproval(status) && !status.approval_signed) out.push(approve(status));
  if (status.state === "paused") {
    if (failed > 0) out.push(retry(status));
    out.push(resume(status), abort(status));
  } else if (status.state === "active") {
    if (failed > 0) out.push({ ...retry(status), isNext: false });
    out.push(pause(status), abort(status));
  } else if (status.state === "complete" && status.superseded_by === null) {
    if (failed + of(status, "refused") > 0) out.push(retry(status));
  } else {
    return out;
  }
  if (committed > 0) out.push(revert(status));
  return out;
}

// What only the command can do: the page holds no keys.
export function commandByHand(status: Status): string {
  return needsApproval(status) && status.approval_signed ? `instar rollout approve ${status.rollout} --key FILE` : "";
}

// "Rollout 8fb5e0a1c7d2934e (gateway-2 2.4.1) is paused": what the answer to an action says.
export function done(action: Action, before: Status, after: Status): string {
  const what = `${after.product} ${after.release}`;
  if (after.state === before.state && after.updated_ms === before.updated_ms) return `${what} is ${after.state}, and nothing is changed.`;
  const words = { approve: "is approved", retry: "goes on: devices that had failed, or refused, may try again", resume: "is active again",
                  pause: "is paused", abort: "is aborted", revert: "is taken back" }[action.verb];
  return `${what} ${words}.`;
}
