// What is secret in requests and answers, by where it stands.
import { overhear } from './http.mjs';

const HEADERS = ['authorization', 'dpop', 'dpop-previous', 'cookie'];
const FIELDS = [
  'code', 'code_verifier', 'client_secret', 'refresh_token', 'access_token', 'id_token', 'token', 'password', 'new_password', 'csrf',
  'ticket', 'registrationId', 'registration_id', 'request_uri', 'signingSecret', 'signing_secret', 'secret', 'link',
];
/** Shorter ones stand somewhere by chance. */
const LEAST = 12;

const isForm = (headers) => headers['content-type']?.startsWith('application/x-www-form-urlencoded');
const isJson = (headers) => headers['content-type']?.startsWith('application/json');

/** The members of JSON of whatever depth, name and value. */
function* members(value) {
  for (const [name, inner] of Object.entries(value ?? {})) {
    if (typeof inner === 'object') yield* members(inner);
    else yield [name, String(inner)];
  }
}

export class Secrets {
  /** By secret: its kind. */
  found = new Map();
  /** Refusals that were answered. */
  refusals = [];

  /** Hears of everything from now on. */
  constructor() {
    overhear((request, answer) => this.#hear(request, answer));
  }

  note(kind, text) {
    if (text && text.length >= LEAST && !this.found.has(text)) this.found.set(text, kind);
  }

  /** What a page shows or a command prints. */
  noteMembers(value) {
    for (const [name, text] of members(value)) if (FIELDS.includes(name)) this.note(name, text);
  }

  get kinds() {
    return new Set(this.found.values());
  }

  /** The kinds of those that stand in `text`, and a piece of it around each. */
  in(text) {
    return [...this.found].filter(([secret]) => text.includes(secret)).map(([secret, kind]) => {
      const at = text.indexOf(secret);
      return `${kind}: ${text.slice(Math.max(0, at - 200), at + secret.length + 20)}`;
    });
  }

  #hear({ url, headers, content }, answer) {
    for (const name of HEADERS) {
      for (const value of [headers[name] ?? []].flat()) this.#noteHeader(name, value);
    }
    if (content !== undefined && isForm(headers)) this.#noteParameters(new URLSearchParams(content));
    if (isJson(headers)) this.#noteJson(content);
    this.#noteParameters(new URL(url).searchParams);
    for (const cookie of answer.headers['set-cookie'] ?? []) this.note('cookie', /=([^;]*)/.exec(cookie)[1]);
    if (answer.location) this.#noteParameters(new URL(answer.location, url).searchParams);
    if (answer.status < 400) {
      if (isJson(answer.headers)) this.#noteJson(answer.text);
    } else {
      this.refusals.push({ url, answer });
    }
  }

  #noteHeader(name, value) {
    if (name === 'cookie') {
      for (const pair of value.split('; ')) this.note(name, pair.slice(pair.indexOf('=') + 1));
      return;
    }
    this.note(name, value.slice(value.indexOf(' ') + 1));
    if (/^Basic /.test(value)) {
      const [, secret] = Buffer.from(value.slice(6), 'base64').toString().split(':');
      this.note('client_secret', secret);
    }
  }

  #noteParameters(parameters) {
    for (const [name, text] of parameters) if (FIELDS.includes(name)) this.note(name, text);
  }

  #noteJson(content) {
    try {
      this.noteMembers(JSON.parse(content));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
}
