// One HTTP exchange with the daemon, over its socket or its loopback port, bounded in time and size.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';

import { CounterfoilError, DaemonMissing, PermissionDenied, TryLater } from './errors.mjs';

const CONNECT_SECONDS = 10;
const LARGEST_ANSWER = 32 * 1024 * 1024;

/** Where the daemon listens: `{socket}`, or `{tcp: '127.0.0.1:8787', tokenFile}`. */
export function doorOf({ socket = '/run/counterfoil/api.sock', tcp, tokenFile }) {
  if (tcp === undefined) return { place: socket, options: () => ({ socketPath: socket, headers: { host: 'localhost' } }) };
  const { hostname, port } = new URL(`http://${tcp}`);
  if (!tokenFile) throw new TypeError('tcp needs tokenFile: the file with this plugin\'s token');
  const options = (plugin) => ({
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    headers: { host: tcp, authorization: `Bearer ${tokenOf(tokenFile, plugin)}` },
  });
  return { place: tcp, options };
}

/** The plugin's token, read at each call, so that a changed file counts at once. */
function tokenOf(file, plugin) {
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new PermissionDenied({
      code: 'token_file_unreadable',
      message: `The file with this plugin's token cannot be read: ${file}`,
      nextStep: 'Let the plugin\'s user read it; its mode is 0640.',
      cause,
    });
  }
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  const [, token] = lines.findLast(([name, value]) => name === plugin && value) ?? [];
  if (token) return token;
  throw new PermissionDenied({
    code: 'token_missing',
    message: `${file} has no line for ${plugin}.`,
    nextStep: `Add a line "${plugin} TOKEN" to it, then run: counterfoild reload`,
  });
}

const missing = (place, nextStep, cause) => new DaemonMissing({
  code: 'daemon_missing', message: `The daemon does not answer at ${place}.`, nextStep, cause,
});

/** What it means that there is no answer. Paths and codes of the system are told; nothing that was sent is. */
function unanswered(cause, place) {
  switch (cause.code) {
    case 'EACCES':
    case 'EPERM':
      return new PermissionDenied({
        code: 'socket_permission',
        message: `This program may not use the daemon's socket ${place}.`,
        nextStep: 'Name its user in allow_users, or its group in allow_groups, of the store\'s file, then run: counterfoild reload; if it is let in already, counterfoild doctor says what is in its way',
        cause,
      });
    case 'ENOENT':
      return missing(place, 'Start the daemon: systemctl start counterfoild. If it runs, set the socket\'s path to the one in the store\'s file.', cause);
    case 'ECONNREFUSED':
      return missing(place, 'Start the daemon: systemctl start counterfoild', cause);
    default:
      return new TryLater({
        code: 'daemon_unanswered',
        message: `The daemon at ${place} did not answer in time, or broke off.`,
        nextStep: 'Try again; if it lasts, run: counterfoild status',
        cause,
      });
  }
}

/**
 * Sends one request. Answers `{status, headers, body}`, whatever the status; throws a CounterfoilError when there is no
 * answer. `signal` gives up; nothing that the daemon has begun is undone by that.
 */
export function exchange(door, plugin, { method, path, headers, body, seconds, signal }) {
  return new Promise((resolve, reject) => {
    const base = door.options(plugin.split('/')[0]);
    const sent = request({
      ...base, method, path, agent: false, signal,
      headers: { ...headers, ...base.headers, 'counterfoil-client': plugin },
    });
    const fail = (cause) => {
      clearTimeout(whole);
      clearTimeout(connecting);
      if (cause instanceof CounterfoilError || cause.name === 'AbortError') reject(cause);
      else reject(unanswered(cause, door.place));
    };
    const give = (what) => sent.destroy(new Error(what));
    const whole = setTimeout(() => give('no answer in time'), seconds * 1000);
    const connecting = setTimeout(() => give('no connection in time'), CONNECT_SECONDS * 1000);
    sent.on('socket', (socket) => {
      if (!socket.connecting) clearTimeout(connecting);
      socket.once('connect', () => clearTimeout(connecting));
    });
    sent.on('error', fail);
    sent.on('response', (answer) => {
      const pieces = [];
      let length = 0;
      answer.on('data', (piece) => {
        length += piece.length;
        if (length > LARGEST_ANSWER) give('the answer is too large');
        else pieces.push(piece);
      });
      answer.on('error', fail);
      answer.on('end', () => {
        clearTimeout(whole);
        clearTimeout(connecting);
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) });
      });
    });
    sent.end(body);
  });
}
