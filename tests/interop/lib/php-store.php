<?php

// A plugin in PHP: reads calls of the client as JSON from stdin, makes them one after the other, and writes what came of
// each.

declare(strict_types=1);

require __DIR__ . '/../../../plugin-bridge/php/tests/bootstrap.php';

use Counterfoil\Answer;
use Counterfoil\Client;
use Counterfoil\CurlTransport;
use Counterfoil\Door;
use Counterfoil\Exception\CounterfoilException;
use Counterfoil\Site;
use Counterfoil\StreamTransport;

$input = json_decode((string) file_get_contents('php://stdin'), true);
$site = isset($input['site']) ? new Site(...$input['site']) : null;
$transport = $input['transport'] === 'curl' ? new CurlTransport() : new StreamTransport();
$client = new Client('interop/1.0', Door::socket($input['socket']), $site, $transport);
$results = [];
foreach ($input['calls'] as [$method, $arguments]) {
    try {
        if ($method === 'verifyWebhook') {
            $arguments[1] = base64_decode($arguments[1]);
        }
        $answer = $client->$method(...$arguments);
        $results[] = $answer instanceof Answer ? ['status' => $answer->status(), 'json' => $answer->json()] : $answer;
    } catch (CounterfoilException $problem) {
        $results[] = [
            'refused' => (new ReflectionClass($problem))->getShortName(),
            'code' => $problem->problemCode(),
            'status' => $problem->status(),
            'message' => $problem->getMessage(),
            'next_step' => $problem->nextStep(),
        ];
    }
}
echo json_encode($results, JSON_THROW_ON_ERROR);
