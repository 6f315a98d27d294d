// One class for each thing that a caller can do about a problem. None of them holds a secret.

/** Whatever went wrong. `code` is stable, `message` and `nextStep` are sentences for a person. */
export class CounterfoilError extends Error {
  /** @param {{code: string, message: string, nextStep?: string, status?: number, retryAfter?: number, cause?: unknown}} problem */
  constructor({ code, message, nextStep = '', status = 0, retryAfter = null, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.nextStep = nextStep;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The daemon does not run, or not at this socket. */
export class DaemonMissing extends CounterfoilError {}
/** The daemon runs, and its own state or settings cannot be used; the host must act. */
export class DaemonFailed extends CounterfoilError {}
/** This user or plugin may not call the daemon, or not this of it. */
export class PermissionDenied extends CounterfoilError {}
/** Daemon and client are of versions that do not go together. */
export class VersionMismatch extends CounterfoilError {}
/** The site or the daemon's state may be a copy: nothing is done until a person chooses. */
export class SafeMode extends CounterfoilError {}
/** The store is not connected, or not any more: somebody must press Connect. */
export class NotConnected extends CounterfoilError {}
/** An attempt to connect ended without a connection; an older connection is as it was. Press Connect again. */
export class ConnectFailed extends CounterfoilError {}
/** It may work in a moment: `retryAfter` says in how many seconds, where that is known. */
export class TryLater extends CounterfoilError {}
/** A notification that is not taken. Answer its sender with `status`, and do nothing else. */
export class WebhookRefused extends CounterfoilError {}
/** The call itself is wrong, by the plugin's doing. */
export class CallRefused extends CounterfoilError {}

/** The platform said no to a forwarded call. `answer` is what it answered. */
export class PlatformRefused extends CounterfoilError {
  /** @param {{status: number, headers: object, body: Buffer, json: any}} answer */
  constructor(answer) {
    const { error, errorCode, error_description: sentence } = answer.json ?? {};
    super({
      code: String(errorCode ?? error ?? `http_${answer.status}`),
      message: String(sentence ?? error ?? `The payment platform answered ${answer.status}.`),
      status: answer.status,
    });
    this.answer = answer;
  }
}

const NAMED = new Map([
  [DaemonFailed, ['degraded', 'internal', 'storage_failed', 'config_refused']],
  [PermissionDenied, [
    'admin_only', 'bearer_mismatch', 'bearer_required', 'browser_refused', 'caller_refused', 'host_refused',
    'ownership_refused', 'proofs_disabled', 'steward_only', 'url_refused',
  ]],
  [VersionMismatch, ['not_found', 'method_not_allowed', 'client_header_missing']],
  [SafeMode, ['registration_identity_mismatch', 'safe_mode', 'site_mismatch', 'site_unknown']],
  [NotConnected, [
    'approval_withdrawn', 'key_in_two_places', 'not_connected', 'reconnect_required', 'recovery_capped',
    'recovery_refused',
  ]],
  [ConnectFailed, [
    'authorization_refused', 'bind_mismatch', 'callback_denied', 'callback_expired', 'callback_issuer_mismatch',
    'callback_malformed', 'callback_refused', 'callback_state_unknown', 'exchange_failed', 'registration_refused',
    'scopes_refused', 'server_unacceptable', 'token_unacceptable',
  ]],
  [TryLater, ['connect_in_progress', 'disconnect_pending']],
].flatMap(([kind, codes]) => codes.map((code) => [code, kind])));

/** The class for a problem of the daemon. A code that is not known is judged by its status. */
export function kindOf(code, status) {
  const named = NAMED.get(code);
  if (named) return named;
  if (status === 429 || status === 503) return TryLater;
  if (code.startsWith('webhook_')) return WebhookRefused;
  return status >= 500 ? DaemonFailed : CallRefused;
}

/** A problem that the daemon told, as an error. */
export function problem(status, told, retryAfter) {
  const code = typeof told?.code === 'string' ? told.code : `http_${status}`;
  const Kind = kindOf(code, status);
  return new Kind({
    code,
    status,
    message: told?.detail ?? told?.title ?? `The daemon answered ${status}.`,
    nextStep: told?.next_step ?? '',
    retryAfter,
  });
}
