// A browser without scripts that goes to an OpenID provider and comes back.
import { readForms } from './browser.mjs';
import { random } from './dpop.mjs';
import { send } from './http.mjs';

/** What an honest provider says of somebody. */
export const honest = (name = random()) => (
  { sub: name, email: `${name.toLowerCase()}@shop.example`, email_verified: true }
);

/** The fields of a form, as a browser posts them. */
export const fieldsOf = (form) => Object.fromEntries(
  form.fields.filter(({ name }) => name).map(({ name, value }) => [name, value ?? '']),
);

/** The form of a page that is posted there, for this provider if one is named. */
export const formTo = (page, action, provider) => readForms(page.text).find(
  (form) => form.action === action && (provider === undefined || fieldsOf(form).provider === provider),
);

/** The ways through a provider, at a server that is started later: `server()` answers it. */
export function throughProviders(server) {
  const at = (path) => `${server().issuer}${path}`;
  const ways = {
    at,
    /** Posts a form with which a page sends a browser to a provider; answers the link, or the page shown instead. */
    async follow(browser, form, fields = {}) {
      const posted = { ...fieldsOf(form), ...fields };
      const answer = await browser.load(at(form.action), { method: 'POST', form: posted });
      return { answer, link: /^0; url=(.*)$/.exec(answer.headers.refresh ?? '')?.[1] };
    },
    /** Sends a browser to a provider. */
    async depart(browser, name, destination) {
      const query = destination ? `?continue=${encodeURIComponent(destination)}` : '';
      const page = await browser.load(at(`/sign-in${query}`));
      return ways.follow(browser, formTo(page, '/sign-in/oidc', name));
    },
    /** Goes there and comes back: the callback's URL. */
    async callback(browser, name, destination) {
      const { link } = await ways.depart(browser, name, destination);
      return (await send(link)).location;
    },
    async signIn(browser, name, destination) {
      return browser.load(await ways.callback(browser, name, destination));
    },
    /** Posts a form with these fields too, and goes there and back if it leads to a provider. */
    async press(browser, form, fields = {}) {
      const { answer, link } = await ways.follow(browser, form, fields);
      return link ? browser.load((await send(link)).location) : answer;
    },
    async isSignedIn(browser) {
      return (await browser.load(at('/account'))).text.includes('Your account');
    },
  };
  return ways;
}
