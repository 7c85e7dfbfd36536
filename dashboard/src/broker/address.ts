// Where the broker is: what the page's address says, else where the page came from.

export interface Place {
  protocol: string;
  host: string;
  hostname: string;
  search: string;
}

export const PREFIX = "instar/v1";

export function parameters(place: Place): { broker: string; prefix: string; isGiven: boolean } {
  const given = new URLSearchParams(place.search);
  const broker = given.get("broker") ?? "";
  return { broker: broker || ownAddress(place), prefix: given.get("prefix") || PREFIX, isGiven: broker !== "" };
}

export function ownAddress(place: Place): string {
  if (place.host === "") return "ws://localhost:9001";
  return `${place.protocol === "https:" ? "wss" : "ws"}://${place.host}/`;
}

// "" when it is fine, else what is wrong with it.
export function fault(broker: string): string {
  let url: URL;
  try {
    url = new URL(broker);
  } catch {
    return "The address is like ws://broker.example.org:9001 or wss://broker.example.org/mqtt.";
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") return "A page reaches a broker by ws:// or wss:// only, on a listener with `protocol websockets`.";
  if (url.username !== "" || url.password !== "") return "User name and password have fields of their own.";
  return "";
}

// What to warn of before a password goes there: an address that a link brought, or a password that everybody on the way can read.
export function warning(broker: string, place: Place, isGiven: boolean): string {
  if (fault(broker) !== "") return "";
  const url = new URL(broker);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (isGiven && place.hostname !== "" && url.hostname !== place.hostname && !isLocal)
    return `This address came with the link that opened the page: your password goes to ${url.hostname}.`;
  if (url.protocol === "ws:" && !isLocal) return "Without TLS (wss://) everybody on the way can read the password.";
  return "";
}
