// A browser without scripts: a cookie jar, and forms filled in the way a person would.
import assert from 'node:assert/strict';
import { send } from './http.mjs';

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const unescape = (text) => text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (whole, hex, decimal, name) => {
  if (name) return ENTITIES[name] ?? whole;
  return String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal));
});

function attributes(tag) {
  const found = {};
  for (const [
    , name, quoted, apostrophed, bare,
  ] of tag.matchAll(/\s([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi)) {
    found[name.toLowerCase()] = unescape(quoted ?? apostrophed ?? bare ?? '');
  }
  return found;
}

/** The forms of a page: method, action, fields with their tag, type, name, value and label. */
export function readForms(html) {
  return [...html.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/gi)].map(([form]) => {
    const { method = 'get', action = '' } = attributes(form.slice(0, form.indexOf('>') + 1));
    const fields = [...form.matchAll(/<(input|button)\b[^>]*>([\s\S]*?)(?=<|$)/gi)].map(([tag, kind, after]) => {
      const field = attributes(tag.slice(0, tag.indexOf('>') + 1));
      const type = field.type?.toLowerCase() ?? (kind.toLowerCase() === 'button' ? 'submit' : 'text');
      return { ...field, type, checked: 'checked' in field, label: labelOf(form, field, after) };
    });
    return { method: method.toUpperCase(), action, fields };
  });
}

function labelOf(form, field, after) {
  const label = [...form.matchAll(/<label\b[^>]*>[\s\S]*?<\/label>/gi)].map(([text]) => text)
    .find((text) => (field.id && attributes(text.slice(0, text.indexOf('>') + 1)).for === field.id)
      || (field.value && text.includes(`value="${field.value}"`)));
  return unescape((label ?? after).replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim();
}

export class Browser {
  #cookies = new Map();

  constructor(person = {}) {
    this.person = person;
  }

  /** The cookie header that would be sent, and a way to lose or to take over cookies. */
  get cookies() {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  setCookie(name, value) {
    this.#cookies.set(name, value);
  }

  cookieNames() {
    return [...this.#cookies.keys()];
  }

  async load(url, { method = 'GET', form, headers = {} } = {}) {
    const cookie = this.cookies;
    const origin = method === 'POST' ? { origin: new URL(url).origin } : {};
    const answer = await send(url, { method, form, headers: { ...(cookie && { cookie }), ...origin, ...headers } });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = /^\s*([^=;]+)=([^;]*)/.exec(line);
      if (/;\s*max-age=0\b/i.test(line) || value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return answer;
  }

  /** Loads `url` and follows redirects as long as they stay at its origin. */
  async visit(url, options) {
    let at = new URL(url);
    let answer = await this.load(at.href, options);
    for (let hops = 0; [301, 302, 303].includes(answer.status); hops += 1) {
      assert.ok(hops < 10, `too many redirects at ${at}`);
      const next = new URL(answer.location, at);
      if (next.origin !== at.origin) return { left: answer.location, answer, url: at.href };
      at = next;
      answer = await this.load(at.href);
    }
    return { answer, url: at.href };
  }

  /** Presses a button of a form, having filled in what this person knows. */
  submit(page, form, decision, company) {
    const pairs = [];
    const buttons = form.fields.filter(({ type }) => type === 'submit');
    const press = buttons.find(({ name, value }) => name === 'decision' && value === decision)
      ?? buttons.find(({ name }) => name !== 'decision');
    const radios = form.fields.filter(({ type, name }) => type === 'radio' && name === 'company');
    const chosen = radios.find(({ label }) => company !== undefined && label.includes(company))
      ?? radios.find(({ checked }) => checked) ?? radios[0];
    for (const field of form.fields) {
      if (!field.name) continue;
      if (field.type === 'submit' ? field === press : field.type === 'radio' ? field === chosen
        : field.type !== 'checkbox' || field.checked) {
        const known = ['email', 'password'].includes(field.name) ? this.person[field.name] : undefined;
        pairs.push([field.name, known ?? field.value ?? '']);
      }
    }
    const target = new URL(form.action || page.url, page.url);
    if (form.method === 'POST') return this.visit(target.href, { method: 'POST', form: pairs });
    target.search = new URLSearchParams(pairs).toString();
    return this.visit(target.href);
  }

  /** Goes from an authorization URL to the page with the decision, signing in where asked. */
  async reachConsent(url, company) {
    let page = await this.visit(url);
    for (let steps = 0; steps < 6; steps += 1) {
      if (page.left || page.answer.status !== 200) return page;
      const forms = readForms(page.answer.text);
      const has = (name) => (form) => form.fields.some((field) => field.name === name);
      const consent = forms.find(has('decision'));
      if (consent) return { ...page, form: consent };
      const form = forms.find(has('password')) ?? forms.find(has('company'));
      assert.ok(form, `no form to fill in at ${page.url}: ${page.answer.text.slice(0, 500)}`);
      page = await this.submit(page, form, undefined, company);
    }
    return assert.fail(`no decision was asked for: ${page.url}`);
  }

  /** Decides; answers the foreign Location, or the page on which it ended. */
  async decide(url, decision, company) {
    const page = await this.reachConsent(url, company);
    return page.form ? this.submit(page, page.form, decision, company) : page;
  }

  /** Approves and answers the callback's parameters. */
  async approve(url, company) {
    return this.#callback(await this.decide(url, 'approve', company));
  }

  async deny(url) {
    return this.#callback(await this.decide(url, 'deny'));
  }

  #callback(page) {
    assert.ok(page.left, `the browser stayed at ${page.url}: ${page.answer.status} ${page.answer.text.slice(0, 500)}`);
    return Object.assign(Object.fromEntries(new URL(page.left).searchParams), { callback: page.left });
  }
}
