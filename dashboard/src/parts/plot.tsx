// Committed, failed and under way, over time.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { Sample } from "../model/rate.ts";

const HEIGHT = 220;
// Dashes let one line show behind another.
const SERIES: { name: string; of: (sample: Sample) => number; color: string; dash?: number[] }[] = [
  { name: "committed", of: (sample) => sample.committed, color: "--committed" },
  { name: "under way", of: (sample) => sample.flight, color: "--flight", dash: [2, 4] },
  { name: "failed or refused", of: (sample) => sample.failed, color: "--failed", dash: [8, 6] },
];

function dataOf(samples: Sample[]): uPlot.AlignedData {
  return [samples.map((sample) => sample.time / 1000), ...SERIES.map((series) => samples.map(series.of))];
}

function optionsOf(width: number, devices: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "12px system-ui, sans-serif", space: 90 };
  return {
    width, height: HEIGHT, cursor: { show: false }, legend: { show: false }, padding: [12, 12, 0, 0],
    scales: { y: { range: (_, __, most) => [0, topOf(most, devices)] } },
    axes: [{ ...axis, values: clock },
           { ...axis, size: 56, space: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000] }],
    series: [{}, ...SERIES.map((series) => ({ label: series.name, stroke: color(series.color), width: 2, points: { show: false }, ...(series.dash ? { dash: series.dash } : {}), paths: uPlot.paths.stepped?.({ align: 1 }) }))],
  };
}

// All devices, but for the beginning of a large rollout, which would lie on the axis.
function topOf(most: number, devices: number): number {
  return most * 4 >= devices ? Math.max(1, devices) : Math.max(4, Math.ceil(most * 1.2));
}

// Hours and minutes; with the day where the axis has more than one.
function clock(_: uPlot, times: number[]): string[] {
  const wide = (times.at(-1) ?? 0) - (times[0] ?? 0) > 86_400;
  return times.map((time) => {
    const date = new Date(time * 1000);
    const hours = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
    const seconds = (times[1] ?? 0) - (times[0] ?? 0) < 60 ? `:${String(date.getSeconds()).padStart(2, "0")}` : "";
    return wide ? `${date.getMonth() + 1}/${date.getDate()} ${hours}` : hours + seconds;
  });
}

export function Plot({ samples, devices, note }: { samples: Sample[]; devices: number; note: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(samples);
  newest.current = samples;
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const make = () => {
      plot.current?.destroy();
      if (element.clientWidth > 0) plot.current = new uPlot(optionsOf(element.clientWidth, devices), dataOf(newest.current), element);
    };
    const observer = new ResizeObserver(make);
    observer.observe(element);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", make);
    return () => {
      observer.disconnect();
      theme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [devices]);
  useEffect(() => plot.current?.setData(dataOf(samples)), [samples]);
  const last = samples[samples.length - 1];
  const words = last === undefined ? "nothing yet" : SERIES.map((series) => `${series.of(last)} ${series.name}`).join(", ");
  return (
    <figure class="plot">
      <div ref={box} role="img" aria-label={`Devices over time; last: ${words}`} />
      <figcaption>
        {SERIES.map((series) => <span key={series.name} class="key"><span class={`dash ${series.color.slice(2)}`} aria-hidden="true" />{series.name}</span>)}
        <span>{note}</span>
      </figcaption>
    </figure>
  );
}
