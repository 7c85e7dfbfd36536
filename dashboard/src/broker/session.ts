// The connection to the broker: logs in, comes back by itself, hands on statuses and answers. Credentials stay in this object.
import mqtt, { type MqttClient } from "mqtt";
import type { Status } from "../model/types.ts";
import { Requests } from "./requests.ts";

export interface Login {
  broker: string;
  prefix: string;
  username: string;
  password: string;
}

export type Link = "connecting" | "connected" | "lost" | "closed";

const RECONNECT_MS = 2000;
const CONNECT_MS = 10_000;
// Timers of a page in the background come once a minute.
const KEEPALIVE_S = 120;
const MARK_BYTES = 6;

// Codes of CONNACK. Mosquitto answers a wrong password as it answers who may not connect.
const NO_LOGIN = "the broker refused this login: is the user name right, and the password?";
const REFUSED: Record<number, string> = { 4: NO_LOGIN, 5: NO_LOGIN, 134: NO_LOGIN, 135: NO_LOGIN };

function mark(): string {
  return [...crypto.getRandomValues(new Uint8Array(MARK_BYTES))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Session {
  readonly requests: Requests;
  link: Link = "connecting";
  lostWhy = "";
  private readonly id = `dashboard-${mark()}`;
  private client: MqttClient | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private linkListeners = new Set<() => void>();
  private statusListeners = new Set<(status: Status) => void>();

  constructor(private readonly login: Login) {
    this.requests = new Requests(this.id, (payload) => this.publish(this.control, payload));
  }

  get prefix(): string {
    return this.login.prefix;
  }
  get broker(): string {
    return this.login.broker;
  }
  get username(): string {
    return this.login.username;
  }
  private get control(): string {
    return `$CONTROL/${this.login.prefix}`;
  }

  // Resolves when the broker has answered a first command; otherwise says why not, in words for a person.
  async open(): Promise<void> {
    await this.connect();
    try {
      await this.requests.ask("getVersion");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  onLink(listener: () => void): () => void {
    this.linkListeners.add(listener);
    return () => this.linkListeners.delete(listener);
  }
  onStatus(listener: (status: Status) => void): () => void {
    this.statusListeners.add(listener);
    return () => this.statusListeners.delete(listener);
  }

  close(): void {
    clearInterval(this.timer);
    this.requests.failAll(new Error("logged out"));
    this.client?.end(true);
    this.client = null;
    this.become("closed");
  }

  private connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOpen = false;
      const fail = (words: string) => {
        if (isOpen) return;
        clearInterval(this.timer);
        client.end(true);
        reject(new Error(words));
      };
      const client = mqtt.connect(this.login.broker, {
        clientId: this.id, protocolVersion: 5, clean: true, keepalive: KEEPALIVE_S, connectTimeout: CONNECT_MS, reconnectPeriod: RECONNECT_MS,
        resubscribe: false, queueQoSZero: false, timerVariant: "native",
        ...(this.login.username === "" ? {} : { username: this.login.username, password: this.login.password }),
      });
      this.client = client;
      client.on("connect", () => {
        this.subscribe().then(() => {
          isOpen = true;
          this.become("connected");
          this.requests.sendAgain();
          resolve();
        }, (error: Error) => fail(error.message));
      });
      client.on("error", (error) => {
        const code = (error as { code?: number }).code ?? -1;
        if (REFUSED[code] !== undefined && isOpen) this.lostWhy = REFUSED[code];
        else fail(REFUSED[code] ?? `cannot reach ${this.login.broker}: ${error.message}`);
      });
      client.on("close", () => {
        if (isOpen) this.become("lost");
        else fail(`cannot reach ${this.login.broker}. Is a listener with \`protocol websockets\` there?`);
      });
      client.on("message", (topic, payload) => this.receive(topic, new TextDecoder().decode(payload)));
      clearInterval(this.timer);
      this.timer = setInterval(() => this.turn(), 1000);
    });
  }

  // Statuses that are retained are not sent (`rh`): the page asks for what it shows.
  private async subscribe(): Promise<void> {
    const filters = { [`${this.control}/response`]: { qos: 1 as const, rh: 2 }, [`${this.login.prefix}/r/+/status`]: { qos: 1 as const, rh: 2 } };
    const granted = await this.client?.subscribeAsync(filters).catch(() => null);
    if (!granted || granted.some((each) => each.qos >= 128))
      throw new Error(`this user may not read ${this.control}/response and ${this.login.prefix}/r/+/status: the broker's access rules deny it`);
  }

  private publish(topic: string, payload: string): Promise<void> {
    // While the connection is lost it waits in `requests`, which sends it again.
    if (this.client === null || !this.client.connected) return Promise.resolve();
    return this.client.publishAsync(topic, payload, { qos: 1 }).then(
      () => undefined,
      (error: Error & { code?: number }) => {
        if ((error.code ?? 0) >= 128) throw new Error(`this user may not send commands to ${topic}: the broker refuses it`);
      });
  }

  private receive(topic: string, payload: string): void {
    if (topic === `${this.control}/response`) return this.requests.take(payload);
    if (!topic.startsWith(`${this.login.prefix}/r/`)) return;
    try {
      const status = JSON.parse(payload) as Status;
      if (status.rollout && status.counts && Array.isArray(status.waves)) this.statusListeners.forEach((listener) => listener(status));
    } catch {
      // Not one of the broker's.
    }
  }

  private turn(): void {
    // Silence on a connection that seems to be there: it is made again.
    if (this.requests.turn(this.link === "connected") && this.client?.connected) this.client.reconnect();
  }

  private become(link: Link): void {
    if (link === this.link) return;
    this.link = link;
    if (link === "connected") this.lostWhy = "";
    this.linkListeners.forEach((listener) => listener());
  }
}
