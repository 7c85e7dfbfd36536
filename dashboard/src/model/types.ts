// What the broker says, as docs/formats/status.md and docs/formats/control.md have it. Only what the page shows.

export const STEPS = ["waiting", "fetching", "staging", "trying", "committed", "rolled_back", "refused", "failed"] as const;
export type Step = (typeof STEPS)[number];
export type Counts = Partial<Record<Step, number>>;

export interface Wave {
  wave: number;
  opened_ms: number | null;
  share_bp: number;
  device_count: number;
  named: number;
  admitted: number;
  silent: number;
  waiting: number;
  in_flight: number;
  committed: number;
  failed: number;
  retrying: number;
  refused: number;
  late: number;
  success_bp: number;
  quorum_bp: number;
  soak_s: number;
  approval: boolean;
  approved: boolean;
}

export interface Reason {
  code: string;
  reason: string;
  count: number;
}

export interface Status {
  rollout: string;
  product: string;
  release: string;
  sequence: number;
  groups: string[];
  state: string;
  outcome: string;
  superseded_by: string | null;
  cause: string;
  wave: number;
  waves_total: number;
  waits_for: string;
  approval_signed: boolean;
  devices: number;
  counts: Counts;
  failures: number;
  retrying: number;
  asking: number;
  waves: Wave[];
  budget: { failures_max: number; failures_bp: number; action: string };
  bytes_budget: number;
  bytes_sent: number;
  bytes_full: number;
  started_ms: number;
  updated_ms: number;
  reasons: Reason[];
}

export interface Event {
  time_ms: number;
  who: string;
  what: string;
}

export interface Member {
  device: string;
  online: boolean;
  step: Step;
  attempt: number;
  code: string;
  reason: string;
  pack_kind: string;
  bytes_fetched: number;
  bytes_full: number;
  downtime_ms: number;
  updated_ms: number;
}

export interface RolloutAnswer extends Status {
  by_group: { group: string; devices: number; counts: Counts }[];
  devices_ahead: { devices: number; highest_sequence: number } | null;
  events?: Event[];
  members?: Member[];
  totalCount?: number;
  time_ms: number;
  clock: Clock;
}

export interface Clock {
  ok: boolean;
  trusted: boolean;
  reason: string;
}

export interface Version {
  version: string;
  client_id: string;
  devices: number;
  devices_online: number;
  devices_unknown: number;
  devices_cloned: number;
  enrolment: string;
  hellos_not_enrolled: number;
  rollouts: number;
  rollouts_active: number;
  transfer_bytes_in_flight: number;
  root_version: number | null;
  root_expires_ms: number;
  root_behind: { ours: number; newest: number; devices: number } | null;
  time_ms: number;
  clock: Clock;
}

export interface Revision {
  product: string;
  release: string;
  sequence: number;
  rollout: string;
  artifacts?: string[];
}

export interface DeviceRow {
  device: string;
  online: boolean;
  last_seen_ms: number;
  product: string;
  groups: string[];
  running: Revision | null;
  target: string | null;
  target_release: string | null;
  cloned: boolean;
  other_key_ms?: number;
}

export interface Report {
  sequence: number;
  rollout: string | null;
  attempt: number;
  step: Step;
  code: string;
  reason: string;
  bytes_fetched: number;
  received_ms: number;
}

export interface DeviceAnswer extends DeviceRow {
  previous: Revision | null;
  architecture: string;
  kernel: string;
  client_version: string;
  memory_bytes: number;
  free_bytes: number;
  metered: boolean;
  highest_sequence: number;
  degraded: string[];
  image_formats: string[];
  handlers: string[];
  clock: string;
  clock_offset_ms: number | null;
  other_key_id?: string;
  cloned_ms: number;
  public_key: string | null;
  bytes_sent: number;
  first_seen_ms: number;
  login: string;
  last_reports: Report[];
  rollouts: (Member & { rollout: string; release: string; sequence: number; wave: number | null })[];
}

export interface GroupRow {
  group: string;
  devices: number;
  online: number;
  releases: { product: string; release: string; sequence: number; devices: number }[];
  rollouts: { product: string; rollout: string; release: string; state: string }[];
}

// A page of a list: `offset` and `count` of `totalCount` rows.
export interface Page<Row> {
  rows: Row[];
  total: number;
}
