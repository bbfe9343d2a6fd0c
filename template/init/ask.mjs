import { confirm, input } from '@inquirer/prompts';
import { nameFault, titleOf } from './name.mjs';

/** What init needs to know: the options that were given, and on a terminal, unless --yes, answers to the others. */
export async function ask(options) {
  const asks = process.stdin.isTTY && !options.yes;
  const answer = async (option, message, fallback, validate) =>
    options[option] ?? (asks ? await input({ message, default: fallback, validate }) : fallback);
  const decide = async (option, message) =>
    options[option] ?? (asks ? await confirm({ message, default: false }) : false);

  const name = await answer('name', 'Name of the service (orders-api)', undefined, (text) => {
    const fault = nameFault(text ?? '');
    return fault ? `The name ${fault}.` : true;
  });
  const fault = nameFault(name);
  if (fault) throw new Error(`--name ${name}: the name ${fault}.`);
  const title = await answer('title', 'Its title, in the documentation', titleOf(name));
  return {
    name,
    title,
    description: await answer('description', 'What it does, in a sentence', `${title}, a service on Google Cloud Run`),
    owner: await answer('owner', 'Who holds the copyright', `${name} contributors`),
    region:
      (await answer('region', 'Region on Google Cloud, such as europe-west1 (nothing: decide later)', '')) || undefined,
    removeExample: await decide('remove-example', 'Remove the example, vouchers?'),
    keepTemplate: options['keep-template'] ?? false,
  };
}
