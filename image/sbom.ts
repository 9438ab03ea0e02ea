/** The list of the software that an image holds (SBOM), as CycloneDX 1.5: npm's own, without what is for development alone. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the pages are made of. They are built, so that these are packages for development; their code is in the image all the same. */
export const inPages = ['preact', '@preact/signals', 'uplot', 'graphiql', 'monaco-editor', 'react', 'react-dom'];

interface Component {
  'bom-ref': string;
  type: string;
  name: string;
  version: string;
  [more: string]: unknown;
}

interface Bill {
  serialNumber: string;
  metadata: { timestamp?: string; component: Component; [more: string]: unknown };
  components: Component[];
  dependencies: { ref: string; dependsOn: string[] }[];
  [more: string]: unknown;
}

interface Package {
  name: string;
  version: string;
  dependencies: Record<string, string>;
}

/**
 * Returns the SBOM of the project in `folder`, as text: the packages that `dependencies` of its package.json and the pages lead to, in
 * the versions of the lock file, and Node.js. The same project gives the same text. `npm sbom --omit dev` is not enough: it leaves out a
 * package that is a peer or a dependency of one for development too, such as graphql and pg (npm 11).
 */
export async function billOf(folder: string): Promise<string> {
  const project = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Package;
  const format = ['--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'];
  const everything = ['--include=dev', '--include=optional', '--include=peer']; // also where NODE_ENV is production
  const { stdout } = await run('npm', ['sbom', ...format, ...everything], { cwd: folder, maxBuffer: 64 << 20 });
  const all = JSON.parse(stdout) as Bill;
  const node: Component = {
    'bom-ref': `node@${process.versions.node}`,
    ...{ type: 'platform', name: 'node', version: process.versions.node, scope: 'required' },
    ...{ purl: `pkg:generic/node@${process.versions.node}`, licenses: [{ license: { id: 'MIT' } }] },
  };
  const { dependencies, refs } = productionOf(all, project);
  const components = [...all.components.filter(component => refs.has(component['bom-ref'])), node];
  const { timestamp: _, component, ...metadata } = all.metadata;
  const bill: Bill = {
    ...all,
    metadata: { ...metadata, component: { ...component, name: project.name } },
    components,
    dependencies: [...dependencies, { ref: node['bom-ref'], dependsOn: [] }],
  };
  bill.serialNumber = `urn:uuid:${uuidOf(JSON.stringify(components))}`;
  return `${JSON.stringify(bill, undefined, 2)}\n`;
}

/** Returns what the project's `dependencies` lead to, and the edges between it. @throws Error where npm doesn't list one of them. */
function productionOf(bill: Bill, project: Package): { refs: Set<string>; dependencies: Bill['dependencies'] } {
  const names = new Map(bill.components.map(component => [component['bom-ref'], component.name]));
  const edges = new Map(bill.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const root = bill.metadata.component['bom-ref'];
  const wanted = new Set([...Object.keys(project.dependencies), ...inPages]);
  const first = (edges.get(root) ?? []).filter(ref => wanted.has(names.get(ref) ?? ''));
  const missing = [...wanted].filter(name => !first.some(ref => names.get(ref) === name));
  if (missing.length > 0) throw new Error(`npm sbom does not list ${missing.join(', ')}`);
  const refs = new Set(first);
  for (const ref of refs) for (const next of edges.get(ref) ?? []) refs.add(next);
  const inner = bill.dependencies.filter(({ ref }) => refs.has(ref));
  return { refs, dependencies: [{ ref: root, dependsOn: first }, ...inner] };
}

/** A UUID of version 8 (RFC 9562) that is made of a hash, so that the same content has the same one. */
function uuidOf(content: string): string {
  const hex = createHash('sha256').update(content).digest('hex');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
