// Speak to counterfoild, the daemon that keeps a store connected to its payment platform.
export { Client } from './client.mjs';
export { siteHeader } from './site.mjs';
export {
  CallRefused, ConnectFailed, CounterfoilError, DaemonFailed, DaemonMissing, NotConnected, PermissionDenied,
  PlatformRefused, SafeMode, TryLater, VersionMismatch, WebhookRefused,
} from './errors.mjs';
