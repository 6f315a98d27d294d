<?php

// Calls of the client, with a transport that is played: what it sends, and what it makes of the answers.

declare(strict_types=1);

require __DIR__ . '/../../plugin-bridge/php/tests/bootstrap.php';

use Counterfoil\Answer;
use Counterfoil\Client;
use Counterfoil\Door;
use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Site;
use Counterfoil\Transport;

$played = new class implements Transport {
    /** @var list<string> */
    public array $sent = [];
    /** @var list<Answer> */
    public array $answers = [];

    public function exchange(Door $door, string $method, string $path, array $headers, string $body, float $seconds): Answer
    {
        $this->sent[] = trim("$method $path $body");
        return array_shift($this->answers);
    }

    /** @param array<string, mixed> $body */
    public function answer(int $status, array $body, string $type = 'application/json'): void
    {
        $this->answers[] = new Answer($status, ['content-type' => $type], (string) json_encode($body));
    }
};
$client = new Client('tests/1.0', null, new Site('https://shop.example', 1, '/var/www/shop'), $played);

$played->answer(200, ['state' => 'connected']);
$played->answer(200, ['authorization_url' => 'https://pay.example/authorize']);
$played->answer(201, ['paymentLink' => ['publicUrl' => 'https://pay.example/payment/pl_1']]);
$told = [
    'status' => $client->status()['state'],
    'connect' => $client->connect('a-value')['authorization_url'],
    'link' => $client->request('POST', 'makepay/payment-links', ['payload' => ['amount' => '19.90']], 'order-1042')->json()['paymentLink']['publicUrl'],
    'sent' => $played->sent,
    'refusals' => [],
];
$problems = [[409, 'site_mismatch'], [409, 'not_connected'], [503, 'server_unreachable']];
foreach ($problems as [$status, $code]) {
    $played->answer($status, ['code' => $code, 'detail' => 'What happened.'], 'application/problem+json');
}
$played->answer(404, ['error' => 'payment_link_not_found', 'errorCode' => 'payment_link_not_found']);
$played->answer(409, ['code' => 'webhook_replayed', 'detail' => 'What happened.'], 'application/problem+json');
$calls = [
    static function () use ($client) {
        $client->callback('code=c', 'a-value');
    },
    static function () use ($client) {
        $client->request('GET', 'makepay/payment-links');
    },
    static function () use ($client) {
        $client->proof('GET', 'https://pay.example/');
    },
    static function () use ($client) {
        $client->request('GET', 'makepay/payment-links/none');
    },
    static function () use ($client) {
        $client->verifyWebhook(['X-Signature' => 't=1'], '{}');
    },
    static function () use ($client) {
        $client->request('POST', 'makepay/payment-links', [], 'short');
    },
];
foreach ($calls as $call) {
    try {
        $call();
    } catch (CounterfoilException $refusal) {
        $told['refusals'][] = (new ReflectionClass($refusal))->getShortName() . ' ' . $refusal->problemCode();
    }
}
echo json_encode($told, JSON_UNESCAPED_SLASHES);
