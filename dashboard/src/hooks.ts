// What views need of the session: asking now and again, pages of lists, the time.
import { createContext } from "preact";
import { useContext, useEffect, useReducer, useRef, useState } from "preact/hooks";
import type { Session } from "./broker/session.ts";
import { Pages, type Fetch } from "./model/pages.ts";
import type { Store } from "./store.ts";

export interface Desk {
  session: Session;
  store: Store;
}
export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("no session");
  return desk;
}

export function useRedraw(): () => void {
  const [, redraw] = useReducer((number: number) => number + 1, 0);
  return () => redraw(undefined as never);
}

// Draws again when a status comes in, at most four times a second.
export function useStore(): Store {
  const { store } = useDesk();
  const redraw = useRedraw();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = store.onChange(() => (timer ??= setTimeout(() => ((timer = undefined), redraw()), 250)));
    return () => (clearTimeout(timer), void stop());
  }, [store]);
  return store;
}

// Draws again each second, for times that pass.
export function useNow(ms = 1000): number {
  const { store } = useDesk();
  const redraw = useRedraw();
  useEffect(() => {
    const timer = setInterval(redraw, ms);
    return () => clearInterval(timer);
  }, [ms]);
  return store.now();
}

// Runs `work` now, every `ms` while the page is in sight and connected, and after each new connection.
export function useRepeated(work: () => void, ms: number, key: string): void {
  const { session } = useDesk();
  const current = useRef(work);
  current.current = work;
  useEffect(() => {
    const run = () => {
      if (session.link === "connected" && document.visibilityState === "visible") current.current();
    };
    current.current();
    const timer = setInterval(run, ms);
    const stop = session.onLink(run);
    document.addEventListener("visibilitychange", run);
    return () => {
      clearInterval(timer);
      stop();
      document.removeEventListener("visibilitychange", run);
    };
  }, [key, ms, session]);
}

export interface Asked<Data> {
  data: Data | null;
  error: Error | null;
  again: () => void;
}

// The newest answer to `ask`; another `key` is another question.
export function useAsked<Data>(ask: () => Promise<Data>, ms: number, key: string): Asked<Data> {
  const [state, setState] = useState<{ key: string; data: Data | null; error: Error | null }>({ key, data: null, error: null });
  const round = useRef({ asked: 0, taken: 0 });
  const run = () => {
    const number = (round.current.asked += 1);
    const isNewest = () => number > round.current.taken && ((round.current.taken = number), true);
    ask().then((data) => isNewest() && setState({ key, data, error: null }),
      (error: Error) => isNewest() && setState((before) => ({ key, data: before.key === key ? before.data : null, error })));
  };
  useRepeated(run, ms, key);
  return { data: state.key === key ? state.data : null, error: state.key === key ? state.error : null, again: run };
}

export function usePages<Row>(fetch: Fetch<Row>, ms: number, key: string): Pages<Row> {
  const redraw = useRedraw();
  const held = useRef<{ key: string; pages: Pages<Row> } | null>(null);
  if (held.current === null || held.current.key !== key) {
    held.current?.pages.close();
    held.current = { key, pages: new Pages(fetch, redraw) };
  }
  const pages = held.current.pages;
  useRepeated(() => void pages.refresh(), ms, key);
  return pages;
}
