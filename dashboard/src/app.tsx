// The frame: who is logged in, where the broker is, the views, and whether the connection holds.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Session } from "./broker/session.ts";
import { DeskContext, useDesk, useRedraw, type Desk } from "./hooks.ts";
import { route, type Route } from "./model/routes.ts";
import { Store } from "./store.ts";
import { DeviceView } from "./views/device.tsx";
import { DevicesView } from "./views/devices.tsx";
import { FleetView } from "./views/fleet.tsx";
import { GroupsView } from "./views/groups.tsx";
import { LoginView } from "./views/login.tsx";
import { LogView } from "./views/log.tsx";
import { RolloutView } from "./views/rollout.tsx";
import { RolloutsView } from "./views/rollouts.tsx";

const NAMES: [Route["view"], string][] = [["fleet", "Fleet"], ["groups", "Groups"], ["rollouts", "Rollouts"], ["devices", "Devices"], ["log", "Log"]];
const OF: Partial<Record<Route["view"], Route["view"]>> = { rollout: "rollouts", device: "devices" };

function View({ at }: { at: Route }) {
  switch (at.view) {
    case "groups": return <GroupsView />;
    case "rollouts": return <RolloutsView />;
    case "rollout": return <RolloutView key={at.id} id={at.id} />;
    case "devices": return <DevicesView query={at.query} />;
    case "device": return <DeviceView key={at.id} id={at.id} />;
    case "log": return <LogView />;
    default: return <FleetView />;
  }
}

function LinkState() {
  const { session } = useDesk();
  const redraw = useRedraw();
  useEffect(() => session.onLink(redraw) as () => void, [session]);
  const isLost = session.link === "lost";
  return (
    <div role="status" class={isLost ? "lost" : "link"}>
      {isLost && <>Connection lost, trying again … {session.lostWhy !== "" && <span>({session.lostWhy})</span>} What is shown is from before.</>}
    </div>
  );
}

function useRoute(): Route {
  const [at, setAt] = useState(route(location.hash));
  useEffect(() => {
    const change = () => setAt(route(location.hash));
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return at;
}

function Frame({ desk, onClose }: { desk: Desk; onClose: () => void }) {
  const at = useRoute();
  const main = useRef<HTMLElement>(null);
  const where = `${at.view} ${at.id}`;
  const before = useRef(where);
  useEffect(() => {
    const shown = OF[at.view] ?? at.view;
    document.title = `${at.id || NAMES.find(([view]) => view === shown)?.[1] || ""} · Instar`;
    if (before.current === where) return;
    before.current = where;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [where]);
  const skip = (event: Event) => {
    event.preventDefault();
    main.current?.focus();
  };
  return (
    <DeskContext.Provider value={desk}>
      <a class="skip" href="#main" onClick={skip}>To the content</a>
      <header>
        <a class="brand" href="#/fleet"><span class="logo" aria-hidden="true" />Instar</a>
        <nav aria-label="Views">
          {NAMES.map(([view, name]) => <a key={view} href={`#/${view}`} aria-current={(OF[at.view] ?? at.view) === view ? "page" : undefined}>{name}</a>)}
        </nav>
        <span class="who" title={desk.session.broker}>{desk.session.username === "" ? "without a name" : desk.session.username}</span>
        <button type="button" class="small" onClick={onClose}>Log out</button>
      </header>
      <LinkState />
      <main id="main" ref={main} tabIndex={-1}><View at={at} /></main>
    </DeskContext.Provider>
  );
}

// The address is kept where a bookmark has it. Credentials are nowhere but in the session.
function remember(session: Session): void {
  const url = new URL(location.href);
  url.searchParams.set("broker", session.broker);
  if (session.prefix !== "instar/v1") url.searchParams.set("prefix", session.prefix);
  try {
    history.replaceState(null, "", url);
  } catch {
    // A page that was opened as a file cannot, in some browsers.
  }
}

export function App() {
  const [desk, setDesk] = useState<Desk | null>(null);
  const open = (session: Session) => {
    const store = new Store();
    session.onStatus((status) => store.put(status));
    remember(session);
    setDesk({ session, store });
  };
  const close = () => {
    desk?.session.close();
    setDesk(null);
  };
  return desk === null ? <LoginView onOpen={open} /> : <Frame desk={desk} onClose={close} />;
}
