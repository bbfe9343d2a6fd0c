// gcloud's active account and its token, and Docker's credential helper.
import { machineOf } from '../docker.mjs';
import { accessToken } from '../permissions.mjs';
import { Refusal } from '../refusal.mjs';

export const auth = {
  'auth list': {
    usage: '',
    isList: true,
    run: ({ caller }) => (caller ? [{ account: caller, status: 'ACTIVE' }] : []),
  },
  'auth print-access-token': {
    usage: '',
    run({ caller }) {
      if (!caller) throw new Refusal('You do not currently have an active account selected.');
      return `${accessToken(caller)}\n`;
    },
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
