/** A failure whose message names the cause and the remedy. It is logged with `fields` and without a stack trace. */
export class StartupError extends Error {
  override name = 'StartupError';

  constructor(
    message: string,
    readonly fields: object = {},
  ) {
    super(message);
  }
}
