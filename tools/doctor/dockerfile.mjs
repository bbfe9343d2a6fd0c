/** Instructions that some builder rejects or Cloud Run ignores. The default step of Cloud Build is Docker's classic builder. */
const NON_PORTABLE = [
  [/^RUN\s.*--(mount|network|security)\b/, 'RUN --mount, --network and --security need BuildKit'],
  [/^(RUN|COPY|ADD)\s.*<<-?["']?\w/, 'heredocs need BuildKit'],
  [/^(COPY|ADD)\s.*--(link|parents|exclude|checksum|keep-git-dir)\b/, 'needs BuildKit; buildah rejects it'],
  [/^(COPY|ADD)\s.*--chmod\b/, 'the classic builder has no --chmod; use RUN chmod in a stage with a shell'],
  [/^#\s*(syntax|check)\s*=/i, 'only BuildKit reads directives'],
  [/\$\{?(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)/, 'only BuildKit sets the platform arguments'],
  [/^HEALTHCHECK\b/, 'Cloud Run ignores it, and OCI images cannot store it; deploy/service.yaml has the probes'],
  [/^(CMD|ENTRYPOINT)\s+[^[\s]/, 'a shell as process 1 does not forward signals; use the JSON form'],
  [/^CMD\s.*\$/, 'the JSON form is not expanded; the service reads PORT itself'],
  [/^USER\s+\D/, 'Cloud Run runs an image as root if it cannot find the user by name; use a number'],
];

/**
 * Returns each instruction of a Dockerfile that is not portable, with the reason.
 *
 * @param {string} dockerfile its text
 * @returns {string[]}
 */
export function nonPortable(dockerfile) {
  const instructions = dockerfile.replaceAll(/\\\n/g, ' ').split('\n');
  return instructions.flatMap((line) =>
    NON_PORTABLE.filter(([pattern]) => pattern.test(line)).map(([, reason]) => `${line}: ${reason}`),
  );
}
