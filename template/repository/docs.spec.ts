import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Env } from '../../src/platform/config/env.js';
import { placeholders as placeholdersOf } from '../../test/support/manifests.js';
import { PLACEHOLDERS as OBSERVABILITY } from '../../test/support/observability.js';

const DEPLOYMENT = [
  'DEPLOYMENT.md',
  'docs/deployment/operate.md',
  'docs/deployment/recipes.md',
  'docs/deployment/runtime.md',
  'docs/deployment/security.md',
  'docs/lessons.md',
  'docs/runbook.md',
];
const DOCUMENTS = [
  ...DEPLOYMENT,
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'AGENTS.md',
  'docs/development.md',
  'docs/mcp.md',
  'docs/security.md',
  'docs/tutorial.md',
  'docs/problems.md',
  'docs/schema-changes.md',
  'docs/deployment/troubleshooting.md',
];
const read = (file: string) => readFileSync(file, 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match]) => match!);

/** The anchors of the headings of a document, as GitHub creates them. */
const anchorsOf = (document: string) =>
  matches(read(document).replaceAll(/^```.*?^```/gms, ''), /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);

  it('has links to files that exist', () => {
    const links = matches(text, /\]\(([\w./-]+)(?:#[\w-]+)?\)/g).map((link) => join(dirname(document), link));
    // Links above the repository's root are pages of GitHub.
    expect(links.filter((link) => !link.startsWith('..') && !existsSync(link))).toEqual([]);
  });

  it('has links to headings that exist', () => {
    const links = [...text.matchAll(/\]\(([\w./-]+\.md)?#([\w-]+)\)/g)].filter(([, file, anchor]) => {
      const target = file === undefined ? document : join(dirname(document), file);
      return !anchorsOf(target).includes(anchor!);
    });
    expect(links.map(([link]) => link)).toEqual([]);
  });

  it('names npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json'));
    expect(matches(text, /npm run ([\w:-]+)/g).filter((name) => !scripts[name])).toEqual([]);
  });

  it('names files that exist', () => {
    const files = matches(
      text,
      /(?<![\w./-])((?:deploy|test|docker|src|docs|tools)\/[\w./-]*\.(?:sh|ya?ml|sql|mjs|ts|md|txt))/g,
    );
    // The examples of development.md are the features orders and reports, and the job delete-drafts.
    const isExample = (file: string) => /^src\/(orders|reports)\/|\/delete-drafts\./.test(file);
    expect(files.filter((file) => !existsSync(file) && !isExample(file))).toEqual([]);
  });
});

it.each(['README.md', 'DEPLOYMENT.md'])('%s has at most 7,000 bytes', (file) => {
  expect(Buffer.byteLength(read(file))).toBeLessThanOrEqual(7_000);
});

describe('docs/security.md', () => {
  const document = 'docs/security.md';

  it('names tests that exist', () => {
    // [auth](../test/platform/auth.e2e-spec.ts): “a title”, “another”
    const references = [...read(document).matchAll(/\]\(([\w./-]+spec\.ts)\): ((?:“[^”]+”(?:, )?)+)/g)];
    expect(references.length).toBeGreaterThan(7);
    for (const [, file = '', titles = ''] of references) {
      const source = read(join(dirname(document), file));
      for (const title of matches(titles, /“([^”]+)”/g)) expect(source).toContain(title);
    }
  });
});

describe('the deployment documents', () => {
  const text = DEPLOYMENT.map(read).join('\n');
  const scripts = ['deploy/lib', 'deploy/pipeline'].flatMap((folder) =>
    readdirSync(folder).map((name) => read(`${folder}/${name}`)),
  );
  const settings = read('deploy/settings.txt') + read('deploy/variables.txt');

  it('names variables that something reads', () => {
    const ofTheService = [
      ...Object.keys(new Env()),
      ...Object.keys({ ...placeholdersOf('production'), ...OBSERVABILITY }),
    ];
    // Of Node, of GitHub, of a test, of a system, the secret that is not used, and an example.
    const others = [
      'NODE_OPTIONS',
      'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
      'MAX_CONNECTIONS',
      'EAI_AGAIN',
      'GCP_SA_KEY',
      'STRIPE_KEY',
      'DEFAULT_BRANCH',
    ];
    const ofThePipeline = [
      read('.github/workflows/deploy.yml'),
      read('docker/compose.yaml'),
      settings,
      ...scripts,
    ].flatMap((file) => matches(file, /\b([A-Z][A-Z_]+)\b/g));
    const known = new Set([...ofTheService, ...others, ...ofThePipeline]);
    const named = matches(text, /\b(?:STAGING_)?([A-Z]{3,}_[A-Z_]*[A-Z]|ATTESTATIONS)\b/g);
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it('has every repository variable that the pipeline reads', () => {
    for (const name of matches(settings, /\b((?:GCP|APP)_[A-Z_]+)\b/g)) expect(text).toContain(`\`${name}\``);
  });

  it.each(['bootstrap', 'observability', 'teardown'])('gives deploy/%s.sh options that it has', (script) => {
    const lines = matches(text.replaceAll('\\\n', ' '), new RegExp(`deploy/${script}\\.sh(?= --)([^\`\n]*)`, 'g'));
    expect(lines.length).toBeGreaterThan(0);
    const usage = read(`deploy/${script}.sh`);
    for (const option of lines.flatMap((line) => matches(line, /(--[a-z-]+)/g))) expect(usage).toContain(option);
  });

  it('gives `npm run deploy` options that it has', () => {
    const options = matches(text, /npm run deploy -- ([^`\n]*)/g).flatMap((line) => matches(line, /--([a-z-]+)/g));
    expect(options.length).toBeGreaterThan(0);
    for (const option of options) expect(read('tools/dev/deploy.mjs')).toMatch(new RegExp(` --${option}\\b`));
  });

  it('names checks of the doctor that exist', () => {
    const ids = matches(read('tools/doctor/repository.mjs'), /^ {2}'(repository\.[a-z-]+)': /gm);
    const named = matches(text, /`(repository\.[a-z-]+)`/g);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((id) => !ids.includes(id))).toEqual([]);
  });
});
