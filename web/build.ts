/**
 * `npm run web [-- --out dist/web]`: builds the pages into a folder, for the router (`PENSTOCK_SITE_FOLDER`): hashed files, and beside each
 * one that shrinks its copies `.br` and `.gz`. The folder is emptied first.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, type Plugin } from 'vite';

const thisClone = join(import.meta.dirname, '..');
const pages = { bank: 'index.html', console: 'console/index.html', graphiql: 'graphiql/index.html' };

/** What browsers from about 2022 on run; top-level await and private methods stay as they are. */
const target = 'es2022';
/** Files that are compressed already, or too small to gain from it. */
const compressible: ReadonlySet<string> = new Set(['.html', '.js', '.css', '.svg', '.json', '.txt', '.ttf']);
const smallestBytes = 512;

/** @param report is called with lines about the progress. @param root the repository. */
export async function buildSite(folder: string, report: (line: string) => void, root = thisClone): Promise<void> {
  const sources = join(root, 'web');
  await build({
    root: sources,
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    appType: 'mpa',
    publicDir: false,
    plugins: [progress(report)],
    // The client of this clone, wherever its packages are.
    resolve: {
      alias: [
        { find: /^@penstock\/client$/, replacement: join(root, 'client/src/index.ts') },
        { find: /^@penstock\/client\/(\w+)$/, replacement: join(root, 'client/src/$1.ts') },
      ],
    },
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    worker: { format: 'es' },
    build: {
      target,
      outDir: resolve(folder),
      emptyOutDir: true,
      // A file of its own for everything: the pages' policy allows `data:` for images alone.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      // What licences ask for: their texts go with what is built.
      license: { fileName: 'licenses.json' },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 5_000,
      rolldownOptions: {
        // React's packages say `use client` and the like, which means nothing in a browser.
        checks: { moduleLevelDirective: false },
        input: Object.fromEntries(Object.entries(pages).map(([name, file]) => [name, join(sources, file)])),
      },
    },
  });
  report('  compressing');
  await compressFiles(folder);
}

/** Reports how many modules have been read, so that a long build is seen to go on. */
function progress(report: (line: string) => void): Plugin {
  let count = 0;
  let toldMs = performance.now();
  return {
    name: 'progress',
    moduleParsed() {
      count++;
      if (performance.now() - toldMs < 1_000) return;
      toldMs = performance.now();
      report(`  ${count} modules …`);
    },
    renderStart() {
      report(`  ${count} modules, writing`);
    },
  };
}

/** Writes `.br` and `.gz` beside each file, where they are smaller. */
async function compressFiles(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile() && compressible.has(extname(entry.name)));
  await Promise.all(
    files.map(async entry => {
      const file = join(entry.parentPath, entry.name);
      const content = await readFile(file);
      if (content.length < smallestBytes) return;
      const params = {
        // 11 takes a second for each megabyte, and is 3 % smaller than 9 for what is large here.
        [constants.BROTLI_PARAM_QUALITY]: content.length > 500_000 ? 9 : 11,
        [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
      };
      const variants = [
        ['br', await promisify(brotliCompress)(content, { params })],
        ['gz', await promisify(gzip)(content, { level: 9 })],
      ] as const;
      for (const [suffix, bytes] of variants) {
        if (bytes.length < content.length) await writeFile(`${file}.${suffix}`, bytes);
      }
    }),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: join(thisClone, 'dist/web') } } });
  await buildSite(resolve(values.out), line => void process.stdout.write(`${line}\n`));
}
