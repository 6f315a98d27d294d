<?php

declare(strict_types=1);

namespace Counterfoil;

/** Through PHP's own stream sockets, where there is no ext-curl. HTTP/1.0, so that no answer comes in chunks. */
final class StreamTransport implements Transport
{
    private const LARGEST_HEAD = 65536;

    public function exchange(Door $door, string $method, string $path, array $headers, string $body, float $seconds): Answer
    {
        $end = microtime(true) + $seconds;
        $address = $door->isSocket() ? 'unix://' . $door->place() : 'tcp://' . $door->place();
        $number = 0;
        $why = '';
        $stream = @stream_socket_client($address, $number, $why, self::CONNECT_SECONDS);
        if ($stream === false) {
            throw Unanswered::connection($door, $number);
        }
        try {
            $head = "$method $path HTTP/1.0\r\n";
            foreach ($headers as $name => $value) {
                $head .= "$name: $value\r\n";
            }
            if ($body !== '' || !in_array($method, ['GET', 'HEAD'], true)) {
                $head .= 'Content-Length: ' . strlen($body) . "\r\n";
            }
            stream_set_blocking($stream, false);
            // A daemon that refuses a long body answers before it has read all of it, so a failed write is not the end.
            $this->write($door, $stream, "$head\r\n$body", $end);
            return $this->read($door, $stream, $method, $end);
        } finally {
            fclose($stream);
        }
    }

    /** @param resource $stream */
    private function write(Door $door, $stream, string $text, float $end): void
    {
        while ($text !== '') {
            $this->wait($door, $stream, true, $end);
            $written = @fwrite($stream, $text);
            if ($written === false || $written === 0) {
                return;
            }
            $text = (string) substr($text, $written);
        }
    }

    /** @param resource $stream */
    private function read(Door $door, $stream, string $method, float $end): Answer
    {
        $text = '';
        while (!feof($stream)) {
            $this->wait($door, $stream, false, $end);
            $piece = fread($stream, 65536);
            if ($piece === false) {
                break;
            }
            $text .= $piece;
            if (strlen($text) > self::LARGEST_ANSWER + self::LARGEST_HEAD) {
                throw Unanswered::late($door);
            }
        }
        $halves = explode("\r\n\r\n", $text, 2);
        $lines = explode("\r\n", $halves[0]);
        if (count($halves) !== 2 || preg_match('#^HTTP/1\.[01] (\d{3})(?: |$)#', (string) array_shift($lines), $found) !== 1) {
            throw Unanswered::late($door);
        }
        $heads = [];
        foreach ($lines as $line) {
            $parts = explode(':', $line, 2);
            if (count($parts) === 2) {
                $heads[strtolower(trim($parts[0]))] = trim($parts[1]);
            }
        }
        $announced = $heads['content-length'] ?? null;
        if ($method !== 'HEAD' && $announced !== null && (int) $announced !== strlen($halves[1])) {
            throw Unanswered::late($door);
        }
        return new Answer((int) $found[1], $heads, $halves[1]);
    }

    /** @param resource $stream */
    private function wait(Door $door, $stream, bool $toWrite, float $end): void
    {
        $left = $end - microtime(true);
        $read = $toWrite ? [] : [$stream];
        $write = $toWrite ? [$stream] : [];
        $none = [];
        $seconds = (int) $left;
        if ($left <= 0 || @stream_select($read, $write, $none, $seconds, (int) (($left - $seconds) * 1000000)) === 0) {
            throw Unanswered::late($door);
        }
    }
}
