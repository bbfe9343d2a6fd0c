// Preloaded into a service by boot.mjs. Counts the JavaScript files that the process loads with import and require.
// https://nodejs.org/api/module.html#moduleregisterhooksoptions
import { registerHooks } from 'node:module';

const files = new Set();

registerHooks({
  load(url, context, nextLoad) {
    if (/^file:.*\.[cm]?js$/.test(url) && url !== import.meta.url) files.add(url);
    return nextLoad(url, context);
  },
});

process.on('message', () => process.send(files.size));
process.channel.unref();
