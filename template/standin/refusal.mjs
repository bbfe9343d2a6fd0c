/** A command that is refused or fails: what it prints, and how it exits. gcloud's parser exits with 2. */
export class Refusal extends Error {
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}
