<?php

// The store's front door: every request comes through it.

declare(strict_types=1);

namespace ExampleStore;

use Counterfoil\Client;
use Counterfoil\Door;
use Counterfoil\Site;

require __DIR__ . '/../autoload.php';

$setting = static function (string $name): string {
    $value = getenv($name);
    if (!is_string($value) || $value === '') {
        http_response_code(500);
        exit("$name is not set; README.md says what to.\n");
    }
    return $value;
};
$url = $setting('STORE_URL');
$site = new Site($url, 1, dirname(__DIR__));
$daemon = new Client('example-store/1.0', Door::socket($setting('STORE_SOCKET')), $site);
$data = new Data($setting('STORE_DATA'));
$shop = new Shop($url, $daemon, $data);
$office = new Office($setting('STORE_PASSWORD_HASH'), $daemon, $data);

$text = static function (array $from, string $name): string {
    return isset($from[$name]) && is_string($from[$name]) ? $from[$name] : '';
};
switch ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case 'GET /':
        $reply = $shop->product();
        break;
    case 'POST /buy':
        $reply = $shop->buy($text($_POST, 'order'));
        break;
    case 'GET /order':
        $reply = $shop->order($text($_GET, 'id'));
        break;
    case 'POST /notification':
        $reply = $shop->notification(getallheaders(), (string) file_get_contents('php://input'));
        break;
    case 'GET /challenge':
        $reply = $shop->challenge($text($_GET, 'nonce'), $text($_GET, 'client_id'));
        break;
    case 'GET /office':
        $reply = $office->show();
        break;
    case 'POST /office/sign-in':
        $reply = $office->signIn($text($_POST, 'password'));
        break;
    case 'GET /office/callback':
        $reply = $office->callback($_SERVER['QUERY_STRING'] ?? '');
        break;
    case 'POST /office/connect':
    case 'POST /office/confirm':
    case 'POST /office/disconnect':
        $reply = $office->act(basename($_SERVER['REQUEST_URI']), $text($_POST, 'token'), $text($_POST, 'company'));
        break;
    default:
        $reply = Reply::page('Not found', '<p>There is no such page.</p>', 404);
}
$reply->send();
