<?php

declare(strict_types=1);

namespace Counterfoil\Tests;

use RuntimeException;

/** A daemon that is played by daemon.php, in a directory of its own. */
final class PlayedDaemon
{
    public string $directory;
    public string $socket;
    public string $name;
    /** @var resource */
    private $process;
    /** @var array<int, resource> */
    private array $pipes = [];

    public function __construct(?string $address = null)
    {
        $this->directory = sys_get_temp_dir() . '/cf-php-' . bin2hex(random_bytes(8));
        mkdir($this->directory, 0700);
        $this->socket = $this->directory . '/api.sock';
        $this->answer(200, '{}');
        $process = proc_open(
            [PHP_BINARY, __DIR__ . '/daemon.php', $address ?? 'unix://' . $this->socket, "$this->directory/answer", "$this->directory/seen"],
            [1 => ['pipe', 'w']],
            $this->pipes
        );
        $name = $process === false ? false : fgets($this->pipes[1]);
        if ($process === false || $name === false) {
            throw new RuntimeException('the played daemon did not start');
        }
        $this->process = $process;
        $this->name = trim($name);
    }

    public function answer(int $status, string $body, string $type = 'application/json', string $more = ''): void
    {
        $this->raw("HTTP/1.1 $status Told\r\nContent-Type: $type\r\nContent-Length: " . strlen($body) . "\r\nConnection: close\r\n$more\r\n$body");
    }

    public function problem(int $status, string $code): void
    {
        $told = ['code' => $code, 'status' => $status, 'detail' => 'What happened.', 'next_step' => 'What to do.'];
        $this->answer($status, (string) json_encode($told), 'application/problem+json', "Retry-After: 7\r\n");
    }

    public function raw(string $text): void
    {
        file_put_contents("$this->directory/answer", $text);
    }

    /** @return array{head: string, body: string} */
    public function seen(): array
    {
        return unserialize((string) file_get_contents("$this->directory/seen"), ['allowed_classes' => false]);
    }

    public function stop(): void
    {
        proc_terminate($this->process, 9);
        proc_close($this->process);
        array_map('unlink', glob("$this->directory/*") ?: []);
        rmdir($this->directory);
    }
}
