// Validates the tests' command lines and manifests with the real gcloud. One process of gcloud's Python validates all of
// them, because it takes a second to start.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS_FILE = 'flags.yaml';
/** The first version of gcloud with POSTGRES_18: MIN_GCLOUD_VERSION_POSTGRES_18 of deploy/lib/database.sh. */
const MIN_VERSION_POSTGRES_18 = 542;

/** @returns {number} the number of calls in the JSON Lines file that gcloud rejects; prints each of them */
export function judge(callsFile) {
  const { sdk, python, version } = findGcloud();
  // An older gcloud validates the same command lines with the version of PostgreSQL that it has.
  const postgres = Number.parseInt(version, 10) < MIN_VERSION_POSTGRES_18 ? 'POSTGRES_17' : 'POSTGRES_18';
  const lines = new Set(
    readFileSync(callsFile, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      // Leaves out the calls that the stand-in's parser rejected: the tests make them to cause the error.
      .filter(({ program, status }) => program === 'gcloud' && status !== 2)
      .map(({ words, files }) =>
        JSON.stringify({
          words: words
            .map(likeGoogles)
            .map((word) =>
              word.replace('--flags-file=-', `--flags-file=${FLAGS_FILE}`).replace('POSTGRES_18', postgres),
            ),
          files: {
            ...Object.fromEntries(Object.entries(files).map(([name, text]) => [name, likeGoogles(text)])),
            // The standard input was a password.
            ...(words.includes('--flags-file=-') && { [FLAGS_FILE]: '--password: "none"' }),
          },
        }),
      ),
  );
  const config = mkdtempSync(join(tmpdir(), 'gcloud-'));
  try {
    writeFileSync(join(config, 'token'), 'none');
    const { error, status, stdout, stderr } = spawnSync(python, ['-S', join(import.meta.dirname, 'judge.py')], {
      encoding: 'utf8',
      input: [...lines].map((line) => `${line}\n`).join(''),
      maxBuffer: 1 << 28,
      env: {
        ...process.env,
        CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: join(config, 'token'),
        CLOUDSDK_CONFIG: config,
        CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
        GCLOUD_LIB: join(sdk, 'lib'),
      },
    });
    if (status !== 0) throw new Error(`gcloud's judge ended: ${error?.message ?? stderr}`);
    const refused = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    for (const { words, error: reason } of refused) console.error(`gcloud ${words.join(' ')}\n  ${reason}`);
    console.log(`gcloud ${version} has judged ${lines.size} command lines and refused ${refused.length}.`);
    if (lines.size === 0) throw new Error('The tests have called no gcloud.');
    return refused.length;
  } finally {
    rmSync(config, { recursive: true });
  }
}

/** Replaces values that differ between runs: local addresses, digests, attempt numbers. */
const likeGoogles = (text) =>
  text
    .replaceAll(/sha256:[0-9a-f]{64}/g, `sha256:${'0'.repeat(64)}`)
    .replaceAll(/timestamp>="[^"]*"|timestamp>=\\"[^"]*\\"/g, 'timestamp>="2026-01-01T00:00:00Z"');

function findGcloud() {
  const format = '--format=value[separator=" "](installation.sdk_root,basic.python_location,basic.version)';
  const { error, stdout } = spawnSync('gcloud', ['info', format], { encoding: 'utf8' });
  const [sdk, python, version] = stdout?.trim().split(' ') ?? [];
  if (error || !version)
    throw new Error('There is no gcloud that could judge: https://cloud.google.com/sdk/docs/install');
  return { sdk, python, version };
}
