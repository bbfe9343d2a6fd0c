import { digest } from './growth/digest.js';

console.log(`report ${digest('a')}`);
