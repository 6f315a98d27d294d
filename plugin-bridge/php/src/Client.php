<?php

declare(strict_types=1);

namespace Counterfoil;

use Counterfoil\Exception\CallRefused;
use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Exception\PlatformRefused;
use Counterfoil\Exception\VersionMismatch;

/**
 * The daemon's local API as methods. Keeps nothing but where the daemon is and who calls.
 *
 * Every method throws a CounterfoilException; its class says what a caller can do.
 */
final class Client
{
    /** The oldest daemon that this client speaks to, and the first that it does not. */
    private const OLDEST = '0.1.0';
    private const TOO_NEW = '1.0.0';

    private const STATUS_SECONDS = 10.0;
    private const OWN_SECONDS = 30.0;
    private const FORWARDED_SECONDS = 60.0;

    private string $plugin;
    private Door $door;
    private ?Site $site;
    private Transport $transport;

    /**
     * @param string $plugin the plugin's name and version: `my-plugin/1.0`
     */
    public function __construct(string $plugin, ?Door $door = null, ?Site $site = null, ?Transport $transport = null)
    {
        if (preg_match('#^[A-Za-z0-9._+-]{1,64}/[A-Za-z0-9._+-]{1,64}\z#', $plugin) !== 1) {
            throw new CallRefused('argument', 'The plugin is named by its name and version: my-plugin/1.0');
        }
        $this->plugin = $plugin;
        $this->door = $door ?? Door::socket();
        $this->site = $site;
        $this->transport = $transport ?? (CurlTransport::isAvailable() ? new CurlTransport() : new StreamTransport());
    }

    /**
     * How the connection is: `state`, `condition`, `summary`, `next_step`, `company`, … Nothing leaves the machine for it.
     *
     * @param  float $seconds wait at most so long
     * @return array<string, mixed>
     */
    public function status(float $seconds = self::STATUS_SECONDS): array
    {
        return $this->own('GET', '/v1/status', null, $seconds);
    }

    /**
     * Whether daemon and client go together; answers the daemon's version.
     *
     * @param array<string, mixed>|null $status what status() has answered already; it is asked for otherwise
     */
    public function handshake(?array $status = null): string
    {
        $version = ($status ?? $this->status())['version'] ?? '';
        $known = is_string($version) && preg_match('/^\d+\.\d+\.\d+/', $version, $found) === 1 ? $found[0] : '';
        if ($known !== '' && version_compare($known, self::OLDEST, '>=') && version_compare($known, self::TOO_NEW, '<')) {
            return $version;
        }
        throw new VersionMismatch(
            'daemon_version',
            sprintf(
                'The daemon is of version %s; this plugin needs %s or newer, before %s.',
                $known === '' ? 'unknown' : $known,
                self::OLDEST,
                self::TOO_NEW
            ),
            'Update the daemon, or the plugin.'
        );
    }

    /**
     * Begins an attempt to connect; answers `authorization_url` and `expires_at`: send the merchant's browser there.
     *
     * @param  string            $bind   a value of this person and session, hard to guess; callback() must have the same
     * @param  list<string>|null $scopes fewer permissions than the platform gives to such a store
     * @return array<string, mixed>
     */
    public function connect(string $bind, ?array $scopes = null): array
    {
        return $this->own('POST', '/v1/connect', ['bind' => $bind] + ($scopes === null ? [] : ['scopes' => $scopes]));
    }

    /**
     * Finishes it; answers the connection: `company`, `scopes`, `connected_at`, …
     *
     * @param  string $query everything behind the `?` of the callback, as it came: `$_SERVER['QUERY_STRING']`
     * @return array<string, mixed>
     */
    public function callback(string $query, string $bind): array
    {
        return $this->own('POST', '/v1/callback', ['query' => $query, 'bind' => $bind]);
    }

    /**
     * Ends the connection, at the platform first. `pending` is true until the platform has confirmed it.
     *
     * @param  bool $forget end it on this side alone
     * @return array<string, mixed>
     */
    public function disconnect(bool $forget = false): array
    {
        $answer = $this->send('POST', '/v1/disconnect', self::encode($forget ? ['forget' => true] : []), [], self::OWN_SECONDS);
        return self::ours($answer) + ['pending' => $answer->status() === 202];
    }

    /**
     * A call to the platform's API, below its base. An answer of 400 and above is thrown as PlatformRefused.
     *
     * @param string      $path           `makepay/payment-links`, with a query where there is one
     * @param mixed       $body           what is sent as JSON; null for nothing
     * @param string|null $idempotencyKey one for each thing that is made, the same at each retry: 8 to 200 letters, digits
     *                                    and `._~:+/=-`
     */
    public function request(
        string $method,
        string $path,
        $body = null,
        ?string $idempotencyKey = null,
        float $seconds = self::FORWARDED_SECONDS
    ): Answer {
        if (preg_match('/^[A-Z]{1,16}\z/', $method) !== 1 || preg_match('/[^\x21-\x7e]/', $path) === 1) {
            throw new CallRefused('argument', 'A method is of capital letters, and a path of visible ASCII.');
        }
        $headers = [];
        if ($idempotencyKey !== null) {
            if (preg_match('#^[A-Za-z0-9._~:+/=-]{8,200}\z#', $idempotencyKey) !== 1) {
                throw new CallRefused('argument', 'An idempotency key is 8 to 200 letters, digits and ._~:+/=-');
            }
            $headers['Idempotency-Key'] = $idempotencyKey;
        }
        $answer = $this->send($method, '/v1/api/' . $path, $body === null ? '' : self::encode($body), $headers, $seconds);
        if ($answer->status() >= 400) {
            throw PlatformRefused::in($answer);
        }
        return $answer;
    }

    /**
     * The two headers, `authorization` and `dpop`, of one request to the platform that you send yourself; off unless the
     * host has switched it on.
     *
     * @return array<string, mixed>
     */
    public function proof(string $method, string $url): array
    {
        return $this->own('POST', '/v1/proofs', ['method' => $method, 'url' => $url]);
    }

    /**
     * The answer, `proof`, to a challenge that came to the store's own address: whose store it is.
     *
     * @return array<string, mixed>
     */
    public function ownership(string $nonce, string $clientId): array
    {
        return $this->own('POST', '/v1/ownership', ['nonce' => $nonce, 'client_id' => $clientId], self::STATUS_SECONDS);
    }

    /**
     * Whether a notification is the platform's and was not taken before: answers `event`, `type`, `delivery_id`, …
     *
     * @param  array<string, string|list<string>> $headers all headers of the request, as `getallheaders()` gives them
     * @param  string                             $body    its raw body: `file_get_contents('php://input')`
     * @return array<string, mixed>
     */
    public function verifyWebhook(array $headers, string $body): array
    {
        return $this->own('POST', '/v1/webhooks/verify', [
            'headers' => (object) $headers,
            'body_base64' => base64_encode($body),
        ]);
    }

    /**
     * @param  array<string, mixed>|null $body
     * @return array<string, mixed>
     */
    private function own(string $method, string $path, ?array $body, float $seconds = self::OWN_SECONDS): array
    {
        return self::ours($this->send($method, $path, $body === null ? '' : self::encode($body), [], $seconds));
    }

    /**
     * An answer of the daemon's own routes.
     *
     * @return array<string, mixed>
     */
    private static function ours(Answer $answer): array
    {
        $json = $answer->json();
        if ($answer->status() >= 400 || !is_array($json)) {
            throw Problem::in($answer);
        }
        return $json;
    }

    /**
     * @param  array<string, string> $headers
     * @throws CounterfoilException
     */
    private function send(string $method, string $path, string $body, array $headers, float $seconds): Answer
    {
        $plugin = explode('/', $this->plugin)[0];
        $headers += ['Accept' => 'application/json', 'Counterfoil-Client' => $this->plugin] + $this->door->headers($plugin);
        if ($this->site !== null) {
            $headers['Counterfoil-Site'] = $this->site->header();
        }
        if ($body !== '') {
            $headers['Content-Type'] = 'application/json';
        }
        $answer = $this->transport->exchange($this->door, $method, $path, $headers, $body, $seconds);
        if ($answer->isProblem()) {
            throw Problem::in($answer);
        }
        return $answer;
    }

    /** @param mixed $body */
    private static function encode($body): string
    {
        $text = json_encode($body === [] ? (object) [] : $body, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        if ($text === false) {
            throw new CallRefused('argument', 'The body cannot be written as JSON: ' . json_last_error_msg());
        }
        return $text;
    }
}
