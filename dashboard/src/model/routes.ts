// What the part of the address behind # names.

export interface Route {
  view: "fleet" | "groups" | "rollouts" | "rollout" | "devices" | "device" | "log";
  id: string;
  query: Record<string, string>;
}

const VIEWS = ["fleet", "groups", "rollouts", "rollout", "devices", "device", "log"];

export function route(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/");
  let id = "";
  try {
    id = decodeURIComponent(rest.join("/"));
  } catch {
    // A hand-made address.
  }
  const known = VIEWS.includes(view) ? (view as Route["view"]) : "fleet";
  return { view: (known === "rollout" || known === "device") && id === "" ? "fleet" : known, id, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function href(view: Route["view"], id = "", query: Record<string, string> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== "");
  const text = new URLSearchParams(given).toString();
  return `#/${view}${id === "" ? "" : `/${encodeURIComponent(id)}`}${text === "" ? "" : `?${text}`}`;
}
