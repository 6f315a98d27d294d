<?php

declare(strict_types=1);

namespace Counterfoil\Tests;

use Counterfoil\Client;
use Counterfoil\CurlTransport;
use Counterfoil\Door;
use Counterfoil\StreamTransport;
use Counterfoil\Transport;
use PHPUnit\Framework\TestCase;

/** The notifications of tests/vectors: every byte of them reaches the daemon, which judges them. */
final class VectorsTest extends TestCase
{
    private const FILE = __DIR__ . '/../../../tests/vectors/webhook.txt';
    private const KEYS = ['name', 'secret', 'header', 'headers', 'body', 'now', 'tolerance', 'expect', 'cause'];

    /** @return array<string, array{Transport}> */
    public function transports(): array
    {
        return ['curl' => [new CurlTransport()], 'streams' => [new StreamTransport()]];
    }

    /** @dataProvider transports */
    public function testANotificationIsHandedOverToTheByte(Transport $transport): void
    {
        $daemon = new PlayedDaemon();
        try {
            $client = new Client('my-plugin/1.0', Door::socket($daemon->socket), null, $transport);
            foreach (self::read() as $vector) {
                $headers = self::headers($vector);
                $client->verifyWebhook($headers, $vector['body']);
                $sent = json_decode($daemon->seen()['body'], true, 8, JSON_THROW_ON_ERROR);
                $this->assertSame($headers, $sent['headers'], $vector['name']);
                $this->assertSame($vector['body'], base64_decode($sent['body_base64'], true), $vector['name']);
            }
        } finally {
            $daemon->stop();
        }
    }

    /**
     * A vector's headers: each name once, with all its values.
     *
     * @param  array<string, string> $vector
     * @return array<string, list<string>>
     */
    private static function headers(array $vector): array
    {
        $signature = [['x-makepay-signature', $vector['header'] ?? '']];
        $headers = [];
        foreach (isset($vector['headers']) ? json_decode($vector['headers'], true) : $signature as [$name, $value]) {
            $headers[$name][] = $value;
        }
        return $headers;
    }

    /** @return list<array<string, string>> */
    private static function read(): array
    {
        $vectors = [];
        foreach (preg_split('/\n\n+/', (string) file_get_contents(self::FILE)) ?: [] as $text) {
            $vector = [];
            foreach (preg_grep('/^[^#]/', explode("\n", $text)) ?: [] as $line) {
                self::assertSame(1, preg_match('/^([a-z0-9_]+?)(_base64url)?:(?: (.+))?$/D', $line, $part), $line);
                self::assertContains($part[1], self::KEYS, $line);
                $value = $part[3] ?? '';
                $vector[$part[1]] = ($part[2] ?? '') === '' ? $value : (string) base64_decode(strtr($value, '-_', '+/'));
            }
            if ($vector !== []) {
                self::assertArrayHasKey('name', $vector);
                $vectors[] = $vector;
            }
        }
        self::assertGreaterThan(10, count($vectors));
        return $vectors;
    }
}
