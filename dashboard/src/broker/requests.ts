// Commands on $CONTROL: each with its own correlation, sent again when the broker may have restarted, and answered or given up.

export type Send = (payload: string) => Promise<void>;

// A request that is not answered for so long is sent again.
const RESEND_MS = 10_000;
const GIVE_UP_MS = 30_000;
// A refusal that names no request counts as the answer to ours when no other comes within this time.
const STRANGER_MS = 1000;

interface Pending {
  command: string;
  body: string;
  isOnce: boolean;
  began: number;
  sent: number;
  resolve: (data: unknown) => void;
  reject: (error: Error) => void;
}

// The broker's own words; `code` as in docs/formats/control.md.
export class Refusal extends Error {
  readonly code: string;
  constructor(words: string) {
    super(words.replace(/^[a-z_]+: /, ""));
    this.code = /^([a-z_]+): /.exec(words)?.[1] ?? "";
  }
}

export class Requests {
  private pending = new Map<string, Pending>();
  private number = 0;
  private strangers: { since: number; words: string } | null = null;

  constructor(private readonly mark: string, private readonly send: Send, private readonly now: () => number = Date.now) {}

  ask<Data>(command: string, parameters: Record<string, unknown> = {}): Promise<Data> {
    return this.begin(command, parameters, false);
  }

  // What changes something is sent once and at once: nobody wants it done minutes later, when the connection is back.
  order<Data>(command: string, parameters: Record<string, unknown>, isConnected: boolean): Promise<Data> {
    if (!isConnected) return Promise.reject(new Error("the connection is lost: nothing was sent"));
    return this.begin(command, parameters, true);
  }

  private begin<Data>(command: string, parameters: Record<string, unknown>, isOnce: boolean): Promise<Data> {
    this.number += 1;
    const correlation = `${this.mark}-${this.number}`;
    const body = JSON.stringify({ commands: [{ ...parameters, command, correlationData: correlation }] });
    return new Promise<Data>((resolve, reject) => {
      const now = this.now();
      this.pending.set(correlation, { command, body, isOnce, began: now, sent: now, resolve: resolve as (data: unknown) => void, reject });
      this.transmit(correlation);
    });
  }

  // A message of the response topic. What it says that is not ours is passed over.
  take(payload: string): void {
    let document: { responses?: unknown };
    try {
      document = JSON.parse(payload) as { responses?: unknown };
    } catch {
      return;
    }
    if (document === null || typeof document !== "object" || !Array.isArray(document.responses)) return;
    for (const response of document.responses as { correlationData?: unknown; error?: unknown; data?: unknown }[]) {
      const correlation = response?.correlationData;
      const error = typeof response?.error === "string" ? response.error : "";
      if (typeof correlation !== "string" || correlation === "") {
        if (error !== "") this.strangers ??= { since: this.now(), words: error };
        continue;
      }
      const request = this.pending.get(correlation);
      if (request === undefined) continue;
      this.pending.delete(correlation);
      this.strangers = null;
      if (error !== "") request.reject(new Refusal(error));
      else request.resolve(response.data ?? {});
    }
  }

  // After a new connection: what was asked may be lost.
  sendAgain(): void {
    for (const [correlation, request] of [...this.pending]) {
      if (request.isOnce) this.fail(correlation, new Error("the connection was lost before the broker answered: see whether it was done"));
      else this.transmit(correlation);
    }
  }

  // Every second. True: the broker has been silent for so long that the connection is in doubt.
  turn(isConnected: boolean): boolean {
    const now = this.now();
    let isSilent = false;
    const stranger = this.strangers !== null && now - this.strangers.since >= STRANGER_MS ? this.strangers.words : "";
    if (stranger !== "") this.strangers = null;
    for (const [correlation, request] of [...this.pending]) {
      if (stranger !== "") this.fail(correlation, new Refusal(stranger));
      else if (isConnected && now - request.began >= GIVE_UP_MS) {
        this.fail(correlation, new Error(`the broker did not answer '${request.command}'. Is the plugin mosquitto_instar.so loaded there, with this prefix, and may this user read its answers?`));
      } else if (isConnected && now - request.sent >= RESEND_MS) {
        isSilent = true;
        request.sent = now;
        if (!request.isOnce) this.transmit(correlation);
      }
    }
    return isSilent;
  }

  failAll(error: Error): void {
    for (const correlation of [...this.pending.keys()]) this.fail(correlation, error);
  }

  get waiting(): number {
    return this.pending.size;
  }

  private transmit(correlation: string): void {
    const request = this.pending.get(correlation);
    if (request === undefined) return;
    request.sent = this.now();
    this.send(request.body).catch((error: Error) => this.fail(correlation, error));
  }

  private fail(correlation: string, error: Error): void {
    const request = this.pending.get(correlation);
    this.pending.delete(correlation);
    request?.reject(error);
  }
}
