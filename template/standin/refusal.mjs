/** The error message and exit code of a failed command. gcloud's parser exits with 2. */
export class Refusal extends Error {
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}
