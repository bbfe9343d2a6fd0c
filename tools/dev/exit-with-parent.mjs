// Preloaded into the processes that tools/dev/start.mjs starts. When their channel to it closes, because it asks them to stop
// or because it was killed, they stop as at SIGTERM. (On Windows, where no signal can be handled, just the same.)
process.once('disconnect', () => process.emit('SIGTERM', 'SIGTERM') || process.exit(143));
process.channel.unref();
