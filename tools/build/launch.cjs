// Runs a program of app.js with V8's code cache, app.cache: compiling takes half of a cold start otherwise.
// Node's own compile cache holds only functions that are compiled eagerly, and depends on the CPU and the user.
const { existsSync, readFileSync } = require('node:fs');
const { SourceMap } = require('node:module');
const { Script } = require('node:vm');

const filename = `${__dirname}/app.js`;
const cache = `${__dirname}/app.cache`;
const app = { exports: {} };

/** The major version in `engines` of package.json, which is not part of dist/. */
const MIN_NODE = 24;

/**
 * Runs a program, or a module that runs on its own, such as a worker thread. Exits with 1 on an older Node.
 * @param {string} entry main, or orders/report.worker.js
 * @returns {object} its exports
 */
function launch(entry) {
  const { node } = process.versions;
  if (Number.parseInt(node) < MIN_NODE) {
    console.error(`dist/ requires Node ${MIN_NODE}, but this is Node ${node}. In a clone, run node_modules/.bin/node`);
    process.exit(1);
  }
  if (Object.keys(app.exports).length === 0) load();
  return app.exports[entry]();
}

/**
 * Loads app.js. V8 compiles the code again if another version of V8 wrote the cache.
 * @returns {Script} the compiled bundle
 */
function load() {
  // esbuild writes only ASCII, which Node reads fastest as latin1.
  const script = new Script(readFileSync(filename, 'latin1'), {
    filename,
    cachedData: existsSync(cache) ? readFileSync(cache) : undefined,
  });
  mapStackTraces();
  script.runInThisContext()(app.exports, require, app, filename, __dirname);
  return script;
}

/** Makes stack traces name src/FILE.ts:LINE. The source map is read when the first one is formatted. */
function mapStackTraces() {
  const format = Error.prepareStackTrace.bind(Error);
  const positions = new RegExp(`${RegExp.escape(filename)}:(\\d+):(\\d+)`, 'g');
  let map;
  function locate(position, line, column) {
    map ??= new SourceMap(JSON.parse(readFileSync(`${filename}.map`, 'utf8')));
    // Code of a package has no source in the map, and keeps its position in app.js.
    const { originalSource, originalLine, originalColumn } = map.findEntry(line - 1, column - 1);
    return originalSource ? `${originalSource}:${originalLine + 1}:${originalColumn + 1}` : position;
  }
  Error.prepareStackTrace = (error, frames) => {
    const stack = format(error, frames);
    try {
      return stack.replaceAll(positions, locate);
    } catch {
      return stack; // the map is missing, or no file can be opened
    }
  };
}

module.exports = { cache, launch, load };
