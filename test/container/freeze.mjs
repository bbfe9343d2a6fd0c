// Preloaded into the service by NODE_OPTIONS: at SIGUSR2 its event loop stands still, for good.
process.on('SIGUSR2', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
