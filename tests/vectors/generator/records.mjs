// Records as the readers take them: values of printable ASCII, everything else as base64url.

import { base64url } from './jose.mjs';

const line = (key, value) => {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  const text = bytes.toString('latin1');
  if (text === '') return `${key}:`;
  return /^[!-~]([ -~]*[!-~])?$/.test(text) ? `${key}: ${text}` : `${key}_base64url: ${base64url(bytes)}`;
};

export const render = (about, records) => {
  const names = new Set(records.map(({ name }) => name));
  if (names.size !== records.length) throw new Error('two vectors have one name');
  const blocks = records.map((record) =>
    Object.entries(record)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => line(key, value))
      .join('\n'),
  );
  const heading = `# ${about}\n# Made by generate.mjs; do not edit.`;
  return `${[heading, ...blocks].join('\n\n')}\n`;
};
