import { confirm, input } from '@inquirer/prompts';
import { nameFault, titleOf } from './name.mjs';

/** Returns the options of init. On a terminal, without --yes and --json, prompts for the missing ones. */
export async function ask(options) {
  const asks = process.stdin.isTTY && !options.yes && !options.json;
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
  const title = await answer('title', 'Title in the documentation', titleOf(name));
  return {
    name,
    title,
    description: await answer('description', 'Description in one sentence', `${title}, a service on Google Cloud Run`),
    owner: await answer('owner', 'Copyright holder', `${name} contributors`),
    region:
      (await answer('region', 'Google Cloud region, such as europe-west1 (empty: decide later)', '')) || undefined,
    removeExample: await decide('remove-example', 'Remove the example, vouchers?'),
    keepTemplate: options['keep-template'] ?? false,
  };
}
