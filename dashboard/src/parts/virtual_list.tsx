// A list of which only the rows in sight exist, whatever its length.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Pages } from "../model/pages.ts";

// Rows beyond the edges of what is in sight.
const BEYOND = 8;

function useRowHeight(): number {
  const query = "(max-width: 700px)";
  const [isNarrow, setNarrow] = useState(matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const change = () => setNarrow(list.matches);
    list.addEventListener("change", change);
    return () => list.removeEventListener("change", change);
  }, []);
  return isNarrow ? 68 : 42;
}

export interface VirtualListProps<Row> {
  label: string;
  pages: Pages<Row>;
  kind: string;
  columns: string[];
  // Of the height of the window, at most.
  fill: number;
  row: (row: Row) => ComponentChildren;
}

export function VirtualList<Row>({ label, pages, kind, columns, fill, row }: VirtualListProps<Row>) {
  const height = useRowHeight();
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [room, setRoom] = useState(600);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setRoom(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const total = Math.max(0, pages.total);
  const first = Math.min(Math.max(0, Math.floor(top / height) - BEYOND), Math.max(0, total - 1));
  const last = Math.ceil((top + room) / height) + BEYOND;
  useEffect(() => {
    const timer = setTimeout(() => void pages.show(first, last), 60);
    return () => clearTimeout(timer);
  }, [first, last, pages]);
  const rows = [];
  for (let at = first; at < Math.min(last, total); at += 1) {
    const data = pages.row(at);
    rows.push(
      <div key={at} class={`row ${kind}`} role="row" aria-rowindex={at + 2} style={{ top: `${at * height}px`, height: `${height}px` }}>
        {data === undefined ? <span role="cell" class="pending">…</span> : row(data)}
      </div>);
  }
  return (
    <div class="list" role="table" aria-label={label} aria-rowcount={total + 1}>
      <div class={`row head ${kind}`} role="row" aria-rowindex={1}>{columns.map((name) => <span key={name} role="columnheader">{name}</span>)}</div>
      <div class="scroll" ref={box} style={{ height: `min(${total * height + 2}px, ${fill}vh)` }} tabIndex={0} role="rowgroup" aria-label={`${label}: rows`} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div class="rows" role="presentation" style={{ height: `${total * height}px` }}>{rows}</div>
      </div>
    </div>
  );
}
