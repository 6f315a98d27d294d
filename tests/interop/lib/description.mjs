// plugin-bridge/local-api.yaml as a judge: every answer of the daemon must be one that it describes, and have no member
// that it does not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import Ajv from 'ajv/dist/2020.js';
import { parse } from 'yaml';

const FILE = new URL('../../../plugin-bridge/local-api.yaml', import.meta.url);
const METHODS = ['delete', 'get', 'head', 'patch', 'post', 'put'];
const pointer = (path) => `api#/${path.map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
const children = (node) => (node && typeof node === 'object' ? Object.values(node) : []);

/** Schemas that are parts of a larger one: what is beside their own members is the larger one's business. */
function parts(node, found = new Set()) {
  for (const { $ref } of node?.allOf ?? []) if ($ref) found.add($ref.split('/').at(-1));
  for (const child of children(node)) parts(child, found);
  return found;
}

/** Closes every object whose members are listed, unless it says itself what else may be there. */
function close(node) {
  if (node?.properties && node.additionalProperties === undefined) node.unevaluatedProperties ??= false;
  for (const child of children(node)) close(child);
}

export class Description {
  seen = new Set();

  constructor() {
    this.api = parse(readFileSync(FILE, 'utf8'));
    const open = parts(this.api.paths);
    for (const item of Object.values(this.api.paths)) {
      for (const method of METHODS) {
        for (const part of children(item[method]?.responses)) {
          for (const { schema } of children(part.content)) {
            if (schema.allOf) schema.unevaluatedProperties = false;
            else close(schema);
          }
        }
      }
    }
    for (const [name, schema] of Object.entries(this.api.components.schemas)) {
      if (open.has(name)) Object.values(schema.properties).forEach(close);
      else close(schema);
    }
    this.ajv = new Ajv({ strict: false, allErrors: true, formats: { uri: true } });
    this.ajv.addSchema(this.api, 'api');
  }

  /** Every operation: its method, and its path as the description has it. */
  get operations() {
    return Object.entries(this.api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map(
      (method) => ({ method: method.toUpperCase(), path }),
    ));
  }

  #path(path) {
    const parts = path.split('/');
    const fits = (described) => {
      const wanted = described.split('/');
      return wanted.length === parts.length && wanted.every((part, at) => part.startsWith('{') || part === parts[at]);
    };
    return Object.keys(this.api.paths).find(fits);
  }

  /** Fails unless `answer` is one that the description has for this call. */
  judge(method, target, { status, headers, text }) {
    const path = this.#path(target.split('?')[0]);
    const call = `${method} ${target}: ${status}\n${text}`;
    const operation = this.api.paths[path]?.[method.toLowerCase()];
    const type = headers['content-type']?.split(';')[0];
    const value = /[/+]json$/.test(type ?? '') ? JSON.parse(text) : text;
    if (operation === undefined) {
      // What is not described can only be refused.
      assert.equal(type, 'application/problem+json', call);
      return this.#check(pointer(['components', 'schemas', 'Problem']), value, call);
    }
    const name = operation.responses[status] ? String(status) : 'default';
    const at = operation.responses[name].$ref?.slice(2).split('/')
      ?? ['paths', path, method.toLowerCase(), 'responses', name];
    const response = at.reduce((node, key) => node[key], this.api);
    assert.ok(response.content?.[type], `${type} is not described for ${call}`);
    if (type === 'application/problem+json') {
      assert.equal(value.status, status, call);
      const codes = this.api.components.schemas.Code.anyOf;
      assert.equal(codes.find(({ const: code }) => code === value.code)?.['x-status'], status, call);
      assert.equal(value.type, `urn:counterfoil:problem:${value.code}`, call);
    }
    const problem = type === 'application/problem+json';
    this.seen.add(`${method} ${path} ${problem ? 'refused' : 'answered'}`);
    const schema = pointer([...at, 'content', type, 'schema']);
    if (type !== 'application/jsonl') return this.#check(schema, value, call);
    return value.split('\n').filter(Boolean).forEach((line) => this.#check(schema, JSON.parse(line), call));
  }

  #check(schema, value, call) {
    const valid = this.ajv.getSchema(schema) ?? this.ajv.compile({ $ref: schema });
    const told = () => valid.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
    assert.ok(valid(value), valid.errors && `${told().join('\n')}\n${call}`);
  }
}
