import { parentPort, workerData } from 'node:worker_threads';
import { isUUID } from 'class-validator';
import { digest } from './digest.js';

parentPort?.postMessage(`${digest(String(workerData))} ${isUUID('a')}`);
