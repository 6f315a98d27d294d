<?php

declare(strict_types=1);

namespace Counterfoil\Tests;

use Counterfoil\Answer;
use Counterfoil\Client;
use Counterfoil\CurlTransport;
use Counterfoil\Door;
use Counterfoil\Exception\CallRefused;
use Counterfoil\Exception\ConnectFailed;
use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Exception\DaemonFailed;
use Counterfoil\Exception\DaemonMissing;
use Counterfoil\Exception\NotConnected;
use Counterfoil\Exception\PermissionDenied;
use Counterfoil\Exception\PlatformRefused;
use Counterfoil\Exception\SafeMode;
use Counterfoil\Exception\TryLater;
use Counterfoil\Exception\VersionMismatch;
use Counterfoil\Exception\WebhookRefused;
use Counterfoil\Site;
use Counterfoil\StreamTransport;
use Counterfoil\Transport;
use PHPUnit\Framework\TestCase;

/** The client against a daemon that is played, through both transports. */
final class ClientTest extends TestCase
{
    private PlayedDaemon $daemon;

    protected function setUp(): void
    {
        $this->daemon = new PlayedDaemon();
    }

    protected function tearDown(): void
    {
        $this->daemon->stop();
    }

    /** @return array<string, array{Transport}> */
    public function transports(): array
    {
        $this->assertTrue(CurlTransport::isAvailable(), 'the tests need ext-curl');
        return ['curl' => [new CurlTransport()], 'streams' => [new StreamTransport()]];
    }

    private function client(Transport $transport, ?Site $site = null, ?Door $door = null): Client
    {
        return new Client('my-plugin/1.0', $door ?? Door::socket($this->daemon->socket), $site, $transport);
    }

    private static function refusal(callable $work): CounterfoilException
    {
        try {
            $work();
        } catch (CounterfoilException $refusal) {
            return $refusal;
        }
        self::fail('nothing was refused');
    }

    /** @dataProvider transports */
    public function testSaysWhoCallsAndNothingOfABrowser(Transport $transport): void
    {
        $this->daemon->answer(200, '{"state":"connected"}');
        $site = new Site('https://shop.example/ä', 2, '/var/www/shop one');
        $this->assertSame('connected', $this->client($transport, $site)->status()['state']);
        $head = $this->daemon->seen()['head'];
        $this->assertStringStartsWith('GET /v1/status HTTP/1.', $head);
        foreach (['Host: localhost', 'Counterfoil-Client: my-plugin/1.0', 'Counterfoil-Site: https://shop.example/%C3%A4; 2; /var/www/shop%20one'] as $line) {
            $this->assertMatchesRegularExpression('/^' . preg_quote($line, '/') . '\r?$/m', $head);
        }
        $this->assertDoesNotMatchRegularExpression('/^(origin|referer|cookie|x-forwarded|via|content-type|expect)/im', $head);
    }

    /** @dataProvider transports */
    public function testHandsOverWhatItIsGiven(Transport $transport): void
    {
        $client = $this->client($transport);
        $sent = function (): array {
            $seen = $this->daemon->seen();
            $this->assertMatchesRegularExpression('/^content-type: application\/json\r?$/im', $seen['head']);
            return [strtok($seen['head'], ' ') . ' ' . strtok(' '), $seen['body']];
        };
        $client->connect('bind', ['company:read']);
        $this->assertSame(['POST /v1/connect', '{"bind":"bind","scopes":["company:read"]}'], $sent());
        $client->callback('code=a%20b&state=+c', 'bind');
        $this->assertSame(['POST /v1/callback', '{"query":"code=a%20b&state=+c","bind":"bind"}'], $sent());
        $client->request('POST', 'makepay/payment-links?limit=5', ['payload' => ['amount' => '19.90']], 'order-1042');
        $this->assertSame(['POST /v1/api/makepay/payment-links?limit=5', '{"payload":{"amount":"19.90"}}'], $sent());
        $this->assertMatchesRegularExpression('/^idempotency-key: order-1042\r?$/im', $this->daemon->seen()['head']);
        $client->verifyWebhook(['X-A' => '1'], "\x00\xff\n");
        $this->assertSame(['POST /v1/webhooks/verify', '{"headers":{"X-A":"1"},"body_base64":"AP8K"}'], $sent());
        $client->ownership('nonce', 'mco_app_1');
        $this->assertSame(['POST /v1/ownership', '{"nonce":"nonce","client_id":"mco_app_1"}'], $sent());
        $client->proof('GET', 'https://pay.example/a');
        $this->assertSame(['POST /v1/proofs', '{"method":"GET","url":"https://pay.example/a"}'], $sent());
        $client->disconnect();
        $this->assertSame(['POST /v1/disconnect', '{}'], $sent());
    }

    /** @dataProvider transports */
    public function testALongBodyArrivesWhole(Transport $transport): void
    {
        $long = str_repeat('0123456789', 100000);
        $this->daemon->answer(200, (string) json_encode(['long' => $long]));
        $answer = $this->client($transport)->request('POST', 'a', ['long' => $long]);
        $this->assertSame(['long' => $long], $answer->json());
        $this->assertSame((string) json_encode(['long' => $long]), $this->daemon->seen()['body']);
    }

    /** @dataProvider transports */
    public function testSaysWhetherTheEndIsConfirmed(Transport $transport): void
    {
        $this->daemon->answer(202, '{"state":"disconnect_pending"}');
        $this->assertTrue($this->client($transport)->disconnect()['pending']);
        $this->daemon->answer(200, '{"state":"disconnected"}');
        $this->assertFalse($this->client($transport)->disconnect(true)['pending']);
        $this->assertSame('{"forget":true}', $this->daemon->seen()['body']);
    }

    /** @dataProvider transports */
    public function testEachProblemHasItsException(Transport $transport): void
    {
        foreach (
            [
                [DaemonFailed::class, 503, 'degraded'], [PermissionDenied::class, 403, 'caller_refused'],
                [VersionMismatch::class, 404, 'not_found'], [SafeMode::class, 409, 'safe_mode'],
                [SafeMode::class, 409, 'site_mismatch'], [NotConnected::class, 409, 'reconnect_required'],
                [ConnectFailed::class, 403, 'callback_denied'], [TryLater::class, 503, 'callback_pending'],
                [TryLater::class, 429, 'too_many_requests'], [TryLater::class, 409, 'connect_in_progress'],
                [WebhookRefused::class, 401, 'webhook_signature_invalid'], [TryLater::class, 503, 'webhook_pending'],
                [CallRefused::class, 400, 'path_refused'], [CallRefused::class, 400, 'a_code_of_tomorrow'],
                [TryLater::class, 503, 'a_code_of_tomorrow'], [DaemonFailed::class, 502, 'a_code_of_tomorrow'],
            ] as [$class, $status, $code]
        ) {
            $this->daemon->problem($status, $code);
            $client = $this->client($transport);
            foreach ([fn () => $client->status(), fn () => $client->request('GET', 'a')] as $work) {
                $refusal = self::refusal($work);
                $this->assertSame($class, get_class($refusal), "$code $status");
                $this->assertSame(
                    [$code, $status, 'What happened.', 'What to do.', 7],
                    [$refusal->problemCode(), $refusal->status(), $refusal->getMessage(), $refusal->nextStep(), $refusal->retryAfter()]
                );
            }
        }
    }

    /** @dataProvider transports */
    public function testWhatThePlatformRefusesIsThePlatforms(Transport $transport): void
    {
        foreach (
            [
                [404, '{"error":"payment_link_not_found","error_description":"No such link."}', 'payment_link_not_found', 'No such link.'],
                [409, '{"errorCode":"payment_link_has_session"}', 'payment_link_has_session', 'The payment platform answered 409.'],
                [502, '<html>', 'http_502', 'The payment platform answered 502.'],
                [401, 'null', 'http_401', 'The payment platform answered 401.'],
            ] as [$status, $body, $code, $message]
        ) {
            $this->daemon->answer($status, $body);
            $refusal = self::refusal(fn () => $this->client($transport)->request('GET', 'makepay/payment-links/u'));
            $this->assertInstanceOf(PlatformRefused::class, $refusal);
            $this->assertSame([$code, $message, $status], [$refusal->problemCode(), $refusal->getMessage(), $refusal->status()]);
            $answer = $refusal->answer();
            $this->assertInstanceOf(Answer::class, $answer);
            $this->assertSame($body, $answer->body());
        }
    }

    /** @dataProvider transports */
    public function testAnAnswerThatIsNoneIsTold(Transport $transport): void
    {
        $broken = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}";
        foreach ([$broken, '', "nonsense\r\n\r\n"] as $raw) {
            $this->daemon->raw($raw);
            $this->assertInstanceOf(TryLater::class, self::refusal(fn () => $this->client($transport)->status()), $raw);
        }
        $this->daemon->answer(200, 'ok', 'text/plain');
        $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => $this->client($transport)->status()));
    }

    /** @dataProvider transports */
    public function testVersionsThatDoNotGoTogether(Transport $transport): void
    {
        foreach (['0.1.0' => true, '0.9.3-beta' => true, '0.0.9' => false, '1.0.0' => false, 'x' => false] as $version => $good) {
            $this->daemon->answer(200, (string) json_encode(['version' => $version]));
            $work = fn () => $this->client($transport)->handshake();
            if ($good) {
                $this->assertSame([$version, $version], [$work(), $this->client($transport)->handshake(['version' => $version])]);
            } else {
                $this->assertInstanceOf(VersionMismatch::class, self::refusal($work), $version);
            }
        }
    }

    /** @dataProvider transports */
    public function testADaemonThatDoesNotRunOrIsElsewhere(Transport $transport): void
    {
        $stale = $this->daemon->directory . '/stale.sock';
        // A socket that nobody listens at any more stays behind where a process was killed.
        fclose(stream_socket_server("unix://$stale"));
        foreach ([$this->daemon->directory . '/none.sock', $stale] as $place) {
            $refusal = self::refusal(fn () => $this->client($transport, null, Door::socket($place))->status());
            $this->assertInstanceOf(DaemonMissing::class, $refusal, $place);
            $this->assertStringContainsString($place, $refusal->getMessage());
            $this->assertStringContainsString('systemctl start counterfoild', $refusal->nextStep());
        }
    }

    /** @dataProvider transports */
    public function testADaemonThatDoesNotLetThisUserIn(Transport $transport): void
    {
        $isRoot = posix_geteuid() === 0;
        chmod($this->daemon->socket, 0000);
        // Root is let in everywhere, so it asks as nobody in particular.
        if ($isRoot) {
            chmod($this->daemon->directory, 0711);
            posix_seteuid(65534);
        }
        try {
            $refusal = self::refusal(fn () => $this->client($transport)->status());
        } finally {
            if ($isRoot) {
                posix_seteuid(0);
            }
        }
        $this->assertInstanceOf(PermissionDenied::class, $refusal);
        $this->assertSame('socket_permission', $refusal->problemCode());
        $this->assertMatchesRegularExpression('/allow_users.*counterfoild doctor/', $refusal->nextStep());
    }

    /** @dataProvider transports */
    public function testADaemonThatDoesNotAnswerInTime(Transport $transport): void
    {
        $this->daemon->raw('silence');
        $refusal = self::refusal(fn () => $this->client($transport)->request('GET', 'a', null, null, 0.1));
        $this->assertInstanceOf(TryLater::class, $refusal);
    }

    /** @dataProvider transports */
    public function testThePortIsGivenThisPluginsToken(Transport $transport): void
    {
        $daemon = new PlayedDaemon('tcp://127.0.0.1:0');
        try {
            $file = $daemon->directory . '/tcp-token';
            file_put_contents($file, "other secret-of-another\nmy-plugin old\nmy-plugin   the-token\n");
            $this->client($transport, null, Door::port($daemon->name, $file))->status();
            $head = $daemon->seen()['head'];
            $this->assertMatchesRegularExpression('/^Authorization: Bearer the-token\r?$/m', $head);
            $this->assertMatchesRegularExpression('/^Host: ' . preg_quote($daemon->name, '/') . '\r?$/m', $head);
            foreach (["other secret-of-another\n", "my-plugin\n", ''] as $text) {
                file_put_contents($file, $text);
                $refusal = self::refusal(fn () => $this->client($transport, null, Door::port($daemon->name, $file))->status());
                $this->assertInstanceOf(PermissionDenied::class, $refusal);
                $this->assertStringNotContainsString('secret-of-another', (string) $refusal);
            }
            unlink($file);
            $refusal = self::refusal(fn () => $this->client($transport, null, Door::port($daemon->name, $file))->status());
            $this->assertSame('token_file_unreadable', $refusal->problemCode());
        } finally {
            $daemon->stop();
        }
    }

    public function testWrongArgumentsAreRefusedBeforeAnythingIsSent(): void
    {
        foreach (['', 'my-plugin', 'a/b/c', 'a b/1', "a/1\n", str_repeat('a', 65) . '/1'] as $plugin) {
            $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => new Client($plugin)), $plugin);
        }
        $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => new Site('https://a', 0, '/')));
        $client = $this->client(new StreamTransport());
        foreach (['short', 'with space', str_repeat('x', 201), "valid-key\r\nX: y"] as $key) {
            $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => $client->request('POST', 'a', null, $key)), $key);
        }
        foreach ([['GET', "a HTTP/1.0\r\nX: y"], ['GET', 'a b'], ["GET\r\n", 'a'], ['get', 'a']] as [$method, $path]) {
            $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => $client->request($method, $path)), $path);
        }
        $this->assertInstanceOf(CallRefused::class, self::refusal(fn () => $client->request('POST', 'a', "\xff")));
        $this->assertFileDoesNotExist($this->daemon->directory . '/seen');
    }
}
