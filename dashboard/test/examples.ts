import type { Member, Status, Step, Version, Wave } from "../src/model/types.ts";

export function wave(number: number, changes: Partial<Wave> = {}): Wave {
  return { wave: number, opened_ms: 1_000_000, share_bp: 0, device_count: 0, named: 0, admitted: 0, silent: 0, waiting: 0, in_flight: 0, committed: 0, failed: 0,
           retrying: 0, refused: 0, late: 0, success_bp: 10_000, quorum_bp: 5000, soak_s: 0, approval: false, approved: false, ...changes };
}

export function status(changes: Partial<Status> = {}): Status {
  return { rollout: "8fb5e0a1c7d2934e", product: "gateway-2", release: "2.4.1", sequence: 42, groups: ["plant-7"], state: "active", outcome: "", superseded_by: null,
           cause: "", wave: 1, waves_total: 1, waits_for: "", approval_signed: false, devices: 0, counts: {}, failures: 0, retrying: 0, asking: 0, waves: [wave(1)],
           budget: { failures_max: 0, failures_bp: 0, action: "pause" }, bytes_budget: 0, bytes_sent: 0, bytes_full: 0, started_ms: 1_000_000, updated_ms: 2_000_000,
           reasons: [], ...changes };
}

export function version(changes: Partial<Version> = {}): Version {
  return { version: "0.1.0", client_id: "x", devices: 0, devices_online: 0, devices_unknown: 0, devices_cloned: 0, enrolment: "open", hellos_not_enrolled: 0, rollouts: 0,
           rollouts_active: 0, transfer_bytes_in_flight: 0, root_version: 1, root_expires_ms: 0, root_behind: null, time_ms: 1_000_000,
           clock: { ok: true, trusted: false, reason: "" }, ...changes };
}

export function member(device: string, step: Step, updated_ms: number): Member {
  return { device, online: true, step, attempt: 1, code: "ok", reason: "", pack_kind: "full", bytes_fetched: 0, bytes_full: 0, downtime_ms: 0, updated_ms };
}
