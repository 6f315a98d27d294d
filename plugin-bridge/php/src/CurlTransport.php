<?php

declare(strict_types=1);

namespace Counterfoil;

/** Through ext-curl. */
final class CurlTransport implements Transport
{
    /** Whether this PHP can. */
    public static function isAvailable(): bool
    {
        return function_exists('curl_init') && defined('CURLOPT_UNIX_SOCKET_PATH');
    }

    public function exchange(Door $door, string $method, string $path, array $headers, string $body, float $seconds): Answer
    {
        $received = '';
        $heads = [];
        $lines = ['Expect:'];
        foreach ($headers as $name => $value) {
            $lines[] = "$name: $value";
        }
        $call = curl_init(($door->isSocket() ? 'http://localhost' : 'http://' . $door->place()) . $path);
        curl_setopt_array($call, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_PATH_AS_IS => true,
            CURLOPT_PROXY => '',
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_NOSIGNAL => true,
            CURLOPT_CONNECTTIMEOUT => self::CONNECT_SECONDS,
            CURLOPT_TIMEOUT_MS => (int) ceil($seconds * 1000),
            CURLOPT_NOBODY => $method === 'HEAD',
            CURLOPT_HEADERFUNCTION => static function ($_, string $line) use (&$heads): int {
                $parts = explode(':', $line, 2);
                if (count($parts) === 2) {
                    $heads[strtolower(trim($parts[0]))] = trim($parts[1]);
                }
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($_, string $piece) use (&$received): int {
                $received .= $piece;
                return strlen($received) > self::LARGEST_ANSWER ? -1 : strlen($piece);
            },
        ]);
        if ($door->isSocket()) {
            curl_setopt($call, CURLOPT_UNIX_SOCKET_PATH, $door->place());
        }
        if ($body !== '') {
            curl_setopt($call, CURLOPT_POSTFIELDS, $body);
        }
        $done = curl_exec($call);
        $failure = curl_errno($call);
        $number = (int) curl_getinfo($call, CURLINFO_OS_ERRNO);
        $status = (int) curl_getinfo($call, CURLINFO_RESPONSE_CODE);
        if ($done !== false) {
            return new Answer($status, $heads, $received);
        }
        throw $failure === CURLE_COULDNT_CONNECT ? Unanswered::connection($door, $number) : Unanswered::late($door);
    }
}
