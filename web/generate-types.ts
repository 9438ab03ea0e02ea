/**
 * `npm run web:types`: writes the types of the pages' GraphQL documents, `web/<page>/graphql/documents.ts`, from the documents beside it
 * and the schema that the page speaks to. With `--check` it only says which file is out of date (exit 1 if one is).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { buildASTSchema, concatAST, parse, printSchema } from 'graphql';
import { definitions } from '../lib/app/definitions.ts';
import { consoleSchema } from '../services/gateway/console/schema.ts';

const root = join(import.meta.dirname, '..');

const bank = () => readFile(join(root, 'apps/bank/schema.graphql'), 'utf8');

/** Which documents speak to which schema. Folders are relative to the repository. */
export const pages: readonly { folder: string; schema(): Promise<string> }[] = [
  { folder: 'web/bank/graphql', schema: bank },
  { folder: 'web/console/graphql', schema: async () => consoleSchema('penstock_fleet') },
  { folder: 'web/console/proof/graphql', schema: bank },
];

/** The types of the scalars' values in JSON. */
const scalars = { Cents: 'number', SafeInt: 'number', DateTime: 'string', JSON: 'unknown' };

/** Returns the text of `documents.ts` of one page. @throws Error for a document that does not fit the schema. */
export async function typesOf({ folder, schema: schemaText }: (typeof pages)[number]): Promise<string> {
  const schema = buildASTSchema(concatAST([definitions, parse(await schemaText())]));
  const location = join(folder, 'documents.graphql');
  const rawSDL = await readFile(join(root, location), 'utf8');
  const config = { documentMode: 'string', useTypeImports: true, scalars, strictScalars: true } as const;
  const outputs = await preset.buildGeneratesSection({
    baseOutputDir: 'generated/',
    schema: parse(printSchema(schema)),
    schemaAst: schema,
    documents: [{ document: parse(rawSDL), rawSDL, location }],
    config,
    plugins: [],
    pluginMap: {},
    presetConfig: { fragmentMasking: false },
  });
  const output = outputs.find(({ filename }) => filename.endsWith('graphql.ts'));
  if (output === undefined) throw new Error('the client preset writes no graphql.ts any more');
  return `// Made by \`npm run web:types\` of documents.graphql. Do not edit.\n${(await codegen(output)).trimEnd()}\n`;
}

if (import.meta.main) {
  for (const page of pages) {
    const file = join(root, page.folder, 'documents.ts');
    const text = await typesOf(page);
    if (!process.argv.includes('--check')) await writeFile(file, text);
    else if ((await readFile(file, 'utf8')) !== text) {
      process.stderr.write(`${page.folder}/documents.ts is out of date: run npm run web:types\n`);
      process.exitCode = 1;
    }
  }
}
