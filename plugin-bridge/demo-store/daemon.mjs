// How a plugin speaks to the daemon: plain HTTP over a unix socket, no tokens, no cryptography.
import { request } from 'node:http';

/** A problem that the daemon names: a stable code, a sentence for the merchant, and what to do next. */
export class DaemonProblem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `the daemon answered ${status}`);
    Object.assign(this, { status, code: problem.code, nextStep: problem.next_step });
  }
}

/** Calls a route of the local API and answers its JSON. */
export function call(socketPath, method, path, body) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const headers = { host: 'localhost', 'counterfoil-client': 'demo-store/1.0' };
  if (text) Object.assign(headers, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers }, (answer) => {
      let received = '';
      answer.setEncoding('utf8').on('data', (chunk) => { received += chunk; });
      answer.on('end', () => {
        let value = {};
        try {
          value = JSON.parse(received || '{}');
        } catch {
          value = { detail: 'the daemon answered something that is no JSON' };
        }
        if (answer.statusCode < 400) resolve(value);
        else reject(new DaemonProblem(answer.statusCode, value));
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
