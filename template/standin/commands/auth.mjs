// gcloud's active account, and Docker's credential helper.
import { machineOf } from '../docker.mjs';

export const auth = {
  'auth list': {
    usage: '',
    isList: true,
    run: ({ caller }) => (caller ? [{ account: caller, status: 'ACTIVE' }] : []),
  },
  'auth configure-docker': {
    usage: '[REGISTRIES]',
    changes: true,
    run({ state, args, environment }) {
      const hosts = args.REGISTRIES?.split(',') ?? ['gcr.io'];
      const machine = machineOf(state, environment);
      machine.registries = [...new Set([...machine.registries, ...hosts])];
      return '';
    },
  },
};
