// What the page knows of rollouts while it is open: the newest status of each, and how it came to that.
import { addSample, sampleOf, type Sample } from "./model/rate.ts";
import type { Status } from "./model/types.ts";

export class Store {
  readonly statuses = new Map<string, Status>();
  readonly samples = new Map<string, Sample[]>();
  // The broker's clock minus the browser's.
  clockOffset = 0;
  private listeners = new Set<() => void>();

  put(status: Status): void {
    const before = this.statuses.get(status.rollout);
    if (before !== undefined && before.updated_ms > status.updated_ms) return;
    this.statuses.set(status.rollout, status);
    this.samples.set(status.rollout, addSample(this.samples.get(status.rollout) ?? [], sampleOf(status, this.now())));
    this.listeners.forEach((listener) => listener());
  }

  // Of a list: those that live messages have brought since are newer.
  newest(status: Status): Status {
    const live = this.statuses.get(status.rollout);
    return live !== undefined && live.updated_ms >= status.updated_ms ? live : status;
  }

  takeTime(brokerMs: number): void {
    this.clockOffset = brokerMs - Date.now();
  }
  now(): number {
    return Date.now() + this.clockOffset;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
