// Preloaded into the processes that tools/dev/start.mjs starts: they stop as at SIGTERM when their channel to it closes,
// because it asks them to stop or because it was killed. Windows has no signal that a process can handle.
process.once('disconnect', () => process.emit('SIGTERM', 'SIGTERM') || process.exit(143));
process.channel.unref();
