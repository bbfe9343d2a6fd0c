// Preloaded into the service with NODE_OPTIONS. SIGUSR2 blocks its event loop forever.
process.on('SIGUSR2', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
