// `npm run doctor -- --explain <log`: names what is known of the messages in a log, their cause and what to do.
// Without node_modules, since workflow steps run it on a bare checkout.
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { explain } from './troubles.mjs';

const { values: options } = parseArgs({ options: { explain: { type: 'boolean' } } });

if (options.explain) {
  const found = explain(await text(process.stdin));
  if (found.length === 0) console.log('No message in it is one that is known here. DEPLOYMENT.md lists those.');
  for (const { line, trouble } of found) {
    console.log(`**${trouble.message}**\n\n> ${line.slice(0, 300)}\n\n${trouble.cause} ${trouble.fix}.\n`);
  }
}
