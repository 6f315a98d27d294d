// Reads tests/vectors/*.txt: the format stands in the README there.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';

const DIRECTORY = new URL('../../vectors/', import.meta.url);
const COMMON = ['name', 'expect', 'cause'];
const BASE64URL = '_base64url';

export const vectorFiles = () => readdirSync(DIRECTORY).filter((name) => name.endsWith('.txt')).sort();

function readRecord(lines) {
  const record = {};
  for (const line of lines) {
    const match = /^([a-z0-9_]+):(?: (.+))?$/.exec(line);
    assert.ok(match, `not a line of a record: ${line}`);
    const [, name, value = ''] = match;
    const encoded = name.endsWith(BASE64URL);
    const key = encoded ? name.slice(0, -BASE64URL.length) : name;
    assert.ok(!(key in record), `twice in one record: ${line}`);
    record[key] = encoded ? Buffer.from(value, 'base64url').toString('latin1') : value;
  }
  return record;
}

/** The records of one file, whose keys beside name, expect and cause must be among `keys`. */
export function readVectors(file, keys) {
  const blocks = readFileSync(new URL(file, DIRECTORY), 'utf8').split(/\n\n+/)
    .map((block) => block.split('\n').filter((line) => line && !line.startsWith('#')))
    .filter((lines) => lines.length > 0);
  assert.ok(blocks.length > 0, `${file} has no records`);
  const names = new Set();
  return blocks.map((lines) => {
    const record = readRecord(lines);
    assert.ok(record.name && !names.has(record.name), `${file}: no name, or a name again: ${record.name}`);
    names.add(record.name);
    assert.match(record.expect, /^(accepted|admitted|refused)$/, record.name);
    for (const key of Object.keys(record)) assert.ok(
      [...COMMON, ...keys].includes(key), `${file}: ${record.name} has ${key}`,
    );
    return record;
  });
}
