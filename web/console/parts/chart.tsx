import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface ChartProps {
  /** Read to who does not see the picture; the numbers are in the table beside it. */
  label: string;
  /** Seconds since the epoch. */
  times: readonly number[];
  /** null: a gap. */
  values: readonly (number | null)[];
}

const heightPx = 170;
/** Between two lines of the grid: whole numbers. */
const steps = [1, 2, 5]
  .flatMap(step => [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].map(unit => step * unit))
  .sort((a, b) => a - b);

/** A line over time. Its colours are the theme's, and follow it. */
export function Chart({ label, times, values }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);

  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const draw = () => {
      const data = plot.current?.data ?? [[], []];
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(element), data, element);
    };
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: heightPx }));
    draw();
    dark.addEventListener('change', draw);
    resized.observe(element);
    return () => {
      dark.removeEventListener('change', draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);

  useEffect(() => plot.current?.setData([[...times], [...values]]), [times, values]);

  return <div class="chart" ref={holder} role="img" aria-label={label} />;
}

function optionsOf(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis: uPlot.Axis = {
    stroke: color('--ink-soft'),
    font,
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.15)] } },
    axes: [
      { ...axis, size: 28, space: 70, values: (_plot, splits) => splits.map(seconds => clock.format(seconds * 1_000)) },
      { ...axis, size: 44, space: 32, incrs: steps },
    ],
    series: [{}, { stroke: color('--accent'), width: 2, fill: color('--accent-wash'), points: { show: false } }],
  };
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
