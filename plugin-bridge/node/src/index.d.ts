/** Where the daemon is, and who calls. */
export interface ClientOptions {
  /** The plugin's name and version: `my-plugin/1.0`. */
  plugin: string;
  /** The daemon's socket; `/run/counterfoil/api.sock` unless said otherwise. */
  socket?: string;
  /** Instead of the socket, the loopback port: `127.0.0.1:8787`. */
  tcp?: string;
  /** With `tcp`: the file with this plugin's token. */
  tokenFile?: string;
  /** Which site calls. */
  site?: Site;
}

/** Which site calls: the address that visitors know, the number of the blog, the directory of the code. */
export interface Site { home: string; blog?: number; path: string }

/** A company, as the platform names it. */
export interface Company { id: string; name: string | null }

/** How the connection is. Times are seconds since 1970; members that are not listed here may be there as well. */
export interface Status {
  state: 'unregistered' | 'awaiting_approval' | 'connected' | 'reconnect_required' | 'disconnect_pending'
    | 'disconnected' | 'safe_mode' | 'degraded' | string;
  condition: 'working' | 'impaired' | 'not_connected' | 'needs_person' | string;
  summary: string;
  next_step: string;
  platform: string;
  site_url: string;
  redirect_uri: string;
  issuer: string;
  api_base: string;
  client_id: string | null;
  thumbprint: string | null;
  company: Company | null;
  scopes: string[] | null;
  grant_id: string | null;
  connected_at: number | null;
  token: { issued_at: number; expires_at: number; renews_at: number } | null;
  pending: { since: number; expires_at: number } | null;
  safe_mode: {
    evidence: { code: string; message: string }[];
    choices: { name: string; message: string; command: string | null }[];
  } | null;
  last_error: { code: string; message: string; at: number; next_step: string } | null;
  version: string;
  [member: string]: unknown;
}

/** The connection, once it is made. */
export interface Connection { state: string; summary: string; company: Company; scopes: string[]; connected_at: number }

/** What became of a disconnect. */
export interface Disconnected { state: string; summary: string; next_step: string; leftover: unknown; pending: boolean }

/** What the platform answered to a forwarded call. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** The body, where it is JSON. */
  json: any;
}

/** A notification of the platform that is genuine and was not taken before. */
export interface Notification {
  event: any;
  type: string | null;
  delivery_id: string | null;
  delivery_group_id: string | null;
  attempt: number | null;
  signed_at: number;
}

/** A plugin's way to the daemon. */
export class Client {
  constructor(options: ClientOptions);
  status(): Promise<Status>;
  handshake(status?: Status): Promise<string>;
  connect(options?: { bind?: string; scopes?: string[] }): Promise<{ authorization_url: string; expires_at: number }>;
  callback(options: { query: string; bind?: string }): Promise<Connection>;
  disconnect(options?: { forget?: boolean }): Promise<Disconnected>;
  request(method: string, path: string, options?: {
    query?: Record<string, string> | URLSearchParams;
    json?: unknown;
    body?: string | Buffer;
    headers?: Record<string, string>;
    idempotencyKey?: string;
    seconds?: number;
    signal?: AbortSignal;
  }): Promise<Answer>;
  ownership(nonce: string, clientId: string): Promise<{ proof: string }>;
  proof(options: { method: string; url: string }): Promise<{ authorization: string; dpop: string }>;
  verifyWebhook(options: {
    headers: Record<string, string | string[] | undefined>;
    body: Buffer | Uint8Array | string;
  }): Promise<Notification>;
}

/** The value of `Counterfoil-Site`. */
export function siteHeader(site: Site): string;

/** Whatever went wrong: a stable code, a sentence, what to do. */
export class CounterfoilError extends Error {
  code: string;
  nextStep: string;
  /** The HTTP status; 0 where nothing was answered. */
  status: number;
  /** Seconds, where waiting helps and the time is known. */
  retryAfter: number | null;
}
/** The daemon does not run, or not at this socket. */
export class DaemonMissing extends CounterfoilError {}
/** The daemon's own state or settings cannot be used; the host must act. */
export class DaemonFailed extends CounterfoilError {}
/** This user or plugin may not call the daemon, or not this of it. */
export class PermissionDenied extends CounterfoilError {}
/** Daemon and client are of versions that do not go together. */
export class VersionMismatch extends CounterfoilError {}
/** The site or the daemon's state may be a copy. */
export class SafeMode extends CounterfoilError {}
/** Somebody must press Connect. */
export class NotConnected extends CounterfoilError {}
/** An attempt to connect ended without a connection. */
export class ConnectFailed extends CounterfoilError {}
/** The platform said no to a forwarded call. */
export class PlatformRefused extends CounterfoilError { answer: Answer }
/** It may work in a moment. */
export class TryLater extends CounterfoilError {}
/** A notification that is not taken: answer its sender with `status`. */
export class WebhookRefused extends CounterfoilError {}
/** The call itself is wrong, by the plugin's doing. */
export class CallRefused extends CounterfoilError {}
