// Preloaded script: on exit, writes a line with every JavaScript file that Node has loaded.
import { registerHooks } from 'node:module';

const files = [];
registerHooks({
  load(url, context, next) {
    if (url.startsWith('file:')) files.push(url);
    return next(url, context);
  },
});
process.on('exit', () => console.log(JSON.stringify({ message: 'Loaded', files })));
