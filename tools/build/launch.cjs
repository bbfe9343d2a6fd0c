// Runs a program of app.js with what V8 has compiled of it before, in app.cache: half of a start is compiling otherwise.
// Node's own compile cache has functions only that are compiled at once, and each CPU and user needs another one.
const { existsSync, readFileSync } = require('node:fs');
const { Script } = require('node:vm');

const filename = `${__dirname}/app.js`;
const cache = `${__dirname}/app.cache`;

/**
 * Starts a program. Its code is compiled anew where V8 is another than the one that made the cache.
 * @param {'main' | 'migrate' | 'api-keys'} program
 * @returns {Script} the compiled bundle
 */
function launch(program) {
  // esbuild writes nothing but ASCII, which is read fastest as latin1.
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    cachedData: existsSync(cache) ? readFileSync(cache) : undefined,
  });
  const app = { exports: {} };
  script.runInThisContext()(app.exports, require, app, filename, __dirname);
  app.exports[program]();
  return script;
}

module.exports = { cache, launch };
