import { writeFileSync } from 'node:fs';
import { openInspector } from './inspector.ts';

/** Profiles a process that runs. The returned function ends it, writes a `.cpuprofile` and says where time went. */
export async function profile(pid: number, file: string): Promise<() => Promise<string>> {
  const { call, close } = await openInspector(pid);
  await call('Profiler.enable');
  await call('Profiler.setSamplingInterval', { interval: 500 });
  await call('Profiler.start');
  return async () => {
    const { profile: found } = (await call('Profiler.stop')) as { profile: CpuProfile };
    writeFileSync(file, JSON.stringify(found));
    close();
    return heaviest(found);
  };
}

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number }; hitCount?: number }[];
  samples: number[];
  timeDeltas: number[];
}

/** Functions by their own time. */
function heaviest({ nodes, samples, timeDeltas }: CpuProfile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const own = new Map<string, number>();
  let total = 0;
  for (const [index, sample] of samples.entries()) {
    const frame = frames.get(sample);
    const deltaMs = (timeDeltas[index] ?? 0) / 1_000;
    const place = frame?.url.replace(/^.*\/(?=(node_modules|services|lib)\/)/, '');
    const name = `${frame?.functionName || '(anonymous)'} ${place}:${frame?.lineNumber}`;
    own.set(name, (own.get(name) ?? 0) + deltaMs);
    total += deltaMs;
  }
  return [...own]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 45)
    .map(([name, ms]) => `${ms.toFixed(0).padStart(7)} ms ${((ms / total) * 100).toFixed(1).padStart(5)} % ${name}\n`)
    .join('');
}
