// Small things that several views show.
import type { ComponentChildren } from "preact";
import { ago, localTime } from "../model/format.ts";
import { segmentsText, stateText, tone, type Segment } from "../model/outcome.ts";
import type { Status } from "../model/types.ts";

const MARKS = { good: "✓", bad: "✕", warn: "!", busy: "▸", quiet: "–" };

// Colour, mark and words say the same.
export function Badge({ tone: kind, children }: { tone: keyof typeof MARKS; children: ComponentChildren }) {
  return <span class={`badge ${kind}`}><span aria-hidden="true">{MARKS[kind]}</span> {children}</span>;
}

export function StateBadge({ status }: { status: Status }) {
  return <Badge tone={tone(status)}>{stateText(status)}</Badge>;
}

const STEP_TONES: Record<string, keyof typeof MARKS> = {
  committed: "good", rolled_back: "bad", failed: "bad", refused: "warn", fetching: "busy", staging: "busy", trying: "busy", waiting: "quiet",
};
export function StepBadge({ step }: { step: string }) {
  return <Badge tone={STEP_TONES[step] ?? "quiet"}>{step.replace("_", " ")}</Badge>;
}

export function Bar({ parts, total, legend }: { parts: Segment[]; total: number; legend?: boolean }) {
  return (
    <>
      <div class="bar" role="img" aria-label={`of ${total}: ${segmentsText(parts)}`}>
        {parts.map((part) => <span key={part.kind} class={`part ${part.kind}`} style={{ width: `${(100 * part.number) / Math.max(1, total)}%` }} />)}
      </div>
      {legend && (
        <ul class="legend">
          {parts.map((part) => <li key={part.kind}><span class={`dot ${part.kind}`} aria-hidden="true" />{part.number.toLocaleString("en")} {part.name}</li>)}
        </ul>
      )}
    </>
  );
}

export function Figure({ name, children, note, href }: { name: string; children: ComponentChildren; note?: string; href?: string }) {
  const body = <><span class="figure-name">{name}</span><span class="figure-value">{children}</span>{note && <span class="figure-note">{note}</span>}</>;
  return href ? <a class="figure" href={href}>{body}</a> : <div class="figure">{body}</div>;
}

export function When({ ms, now }: { ms: number; now: number }) {
  return ms > 0 ? <time dateTime={new Date(ms).toISOString()} title={localTime(ms)}>{ago(ms, now)}</time> : <>never</>;
}

export function ErrorNote({ error }: { error: Error | null }) {
  return error === null ? null : <p class="note bad" role="alert">{error.message}</p>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Loading() {
  return <p class="empty" role="status">asking the broker …</p>;
}

export function Fields({ rows }: { rows: [string, ComponentChildren][] }) {
  return <dl class="fields">{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}
