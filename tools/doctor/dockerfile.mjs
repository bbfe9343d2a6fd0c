/** What not every builder takes, with the reason. Cloud Build's default step is Docker's classic builder. */
const UNPORTABLE = [
  [/^RUN\s.*--(mount|network|security)\b/, 'RUN --mount and its like need BuildKit'],
  [/^(RUN|COPY|ADD)\s.*<<-?["']?\w/, 'heredocs need BuildKit'],
  [/^(COPY|ADD)\s.*--(link|parents|exclude|checksum|keep-git-dir)\b/, 'needs BuildKit, and buildah refuses it'],
  [/^(COPY|ADD)\s.*--chmod\b/, "the classic builder has no --chmod; use RUN chmod, where there's a shell"],
  [/^#\s*(syntax|check)\s*=/i, 'only BuildKit reads directives'],
  [/\$\{?(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)/, 'only BuildKit sets the platform arguments'],
  [
    /^HEALTHCHECK\b/,
    'Cloud Run ignores it, and the OCI format has no place for it; deploy/service.yaml has the probes',
  ],
  [/^(CMD|ENTRYPOINT)\s+[^[\s]/, 'a shell would be process 1 and keep the signals for itself; write it as a list'],
  [/^CMD\s.*\$/, 'a list is not expanded; the service reads PORT itself'],
  [/^USER\s+\D/, 'Cloud Run runs an image as root whose user it does not find by name; use a number'],
];

/**
 * @param {string} dockerfile its text
 * @returns {string[]} each instruction that some builder refuses, and why
 */
export function unportable(dockerfile) {
  const instructions = dockerfile.replaceAll(/\\\n/g, ' ').split('\n');
  return instructions.flatMap((line) =>
    UNPORTABLE.filter(([pattern]) => pattern.test(line)).map(([, reason]) => `${line}: ${reason}`),
  );
}
