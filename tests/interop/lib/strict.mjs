// Base64url and JSON read strictly: one spelling, unique members, bounded depth, no lone surrogates.

/** The bytes of `text`, or null when an encoder would have written it otherwise. */
export function fromBase64url(text) {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
const TOKEN = new RegExp(`[\\t\\n\\r ]*(?:([[\\]{}:,])|(${STRING.source})|(${NUMBER.source})|(true|false|null))`, 'y');
const END = /[\t\n\r ]*$/y;
const MAX_DEPTH = 127;

class Reader {
  at = 0;

  constructor(text) {
    this.text = text;
  }

  next() {
    TOKEN.lastIndex = this.at;
    const match = TOKEN.exec(this.text);
    if (!match) throw new SyntaxError(`at ${this.at}`);
    this.at = TOKEN.lastIndex;
    const [, mark, string, number, word] = match;
    if (mark) return { mark };
    const value = JSON.parse(string ?? number ?? word);
    if (number && !Number.isFinite(value)) throw new SyntaxError('a number out of range');
    if (string && !value.isWellFormed()) throw new SyntaxError('a lone surrogate');
    return { value, string: string !== undefined };
  }

  value(token = this.next(), depth = 0) {
    if (depth > MAX_DEPTH) throw new SyntaxError('too deep');
    if (token.mark === '{') return this.members(depth);
    if (token.mark === '[') return this.items(depth);
    if (token.mark) throw new SyntaxError(token.mark);
    return token.value;
  }

  items(depth) {
    const items = [];
    let token = this.next();
    while (token.mark !== ']') {
      items.push(this.value(token, depth + 1));
      token = this.separator(']');
    }
    return items;
  }

  members(depth) {
    const members = new Map();
    let token = this.next();
    while (token.mark !== '}') {
      if (!token.string || members.has(token.value)) throw new SyntaxError('no name, or a name again');
      const name = token.value;
      if (this.next().mark !== ':') throw new SyntaxError('no colon');
      members.set(name, this.value(this.next(), depth + 1));
      token = this.separator('}');
    }
    return Object.fromEntries(members);
  }

  /** After a value: the closing mark, or the token after a comma, which must not close. */
  separator(closing) {
    const { mark } = this.next();
    if (mark === closing) return { mark };
    if (mark !== ',') throw new SyntaxError('no comma');
    const token = this.next();
    if (token.mark === closing) throw new SyntaxError('a comma too many');
    return token;
  }
}

/** The object that `bytes` spell, or null. */
export function parseObject(bytes) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const reader = new Reader(text);
    const value = reader.value();
    END.lastIndex = reader.at;
    const whole = END.test(text) && typeof value === 'object' && value !== null && !Array.isArray(value);
    return whole ? value : null;
  } catch {
    return null;
  }
}
