// The commands of docs/formats/control.md that the page uses.
import type { Action } from "../model/actions.ts";
import type { DeviceAnswer, DeviceRow, GroupRow, Member, Page, RolloutAnswer, Status, Step, Version } from "../model/types.ts";
import type { Requests } from "./requests.ts";
import type { Session } from "./session.ts";

interface ListAnswer {
  totalCount: number;
}

export interface DeviceQuery {
  group?: string;
  match?: string;
  only?: string;
}

export function version(requests: Requests): Promise<Version> {
  return requests.ask("getVersion");
}

export async function rollouts(requests: Requests, offset: number, count: number): Promise<Page<Status>> {
  const answer = await requests.ask<ListAnswer & { rollouts: Status[] }>("listRollouts", { offset, count });
  return { rows: answer.rollouts ?? [], total: answer.totalCount };
}

export function rollout(requests: Requests, id: string, more: Record<string, unknown> = {}): Promise<RolloutAnswer> {
  return requests.ask("getRollout", { rollout: id, ...more });
}

export async function members(requests: Requests, id: string, steps: Step[], match: string, offset: number, count: number): Promise<Page<Member>> {
  const answer = await rollout(requests, id, { devices: true, offset, count, ...(steps.length === 0 ? {} : { steps }), ...(match === "" ? {} : { match }) });
  return { rows: answer.members ?? [], total: answer.totalCount ?? 0 };
}

export async function devices(requests: Requests, query: DeviceQuery, offset: number, count: number): Promise<Page<DeviceRow>> {
  const fields: Record<string, unknown> = { offset, count };
  if (query.group) fields["group"] = query.group;
  if (query.match) fields["match"] = query.match;
  if (query.only === "connected") fields["online"] = true;
  if (query.only === "away") fields["online"] = false;
  if (query.only === "degraded") fields["degraded"] = true;
  if (query.only === "unknown") fields["unknown"] = true;
  const answer = await requests.ask<ListAnswer & { devices: DeviceRow[] }>("listDevices", fields);
  return { rows: answer.devices ?? [], total: answer.totalCount };
}

export function device(requests: Requests, id: string): Promise<DeviceAnswer> {
  return requests.ask("getDevice", { device: id, history: true });
}

export async function groups(requests: Requests, offset: number, count: number): Promise<Page<GroupRow>> {
  const answer = await requests.ask<ListAnswer & { groups: GroupRow[] }>("listGroups", { offset, count });
  return { rows: answer.groups ?? [], total: answer.totalCount };
}

// The status after the last of its commands. One that is refused ends it.
export async function act(session: Session, id: string, action: Action): Promise<Status> {
  let after: Status | null = null;
  for (const command of action.commands)
    after = await session.requests.order<Status>(command, { rollout: id, ...action.parameters }, session.link === "connected");
  if (after === null) throw new Error("nothing to do");
  return after;
}
