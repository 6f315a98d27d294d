<?php

declare(strict_types=1);

namespace Counterfoil;

use Counterfoil\Exception\PermissionDenied;

/** Where the daemon listens: its unix socket, or its loopback port with the file of this plugin's token. */
final class Door
{
    private string $place;
    private ?string $tokenFile;

    private function __construct(string $place, ?string $tokenFile)
    {
        $this->place = $place;
        $this->tokenFile = $tokenFile;
    }

    /** The socket. */
    public static function socket(string $path = '/run/counterfoil/api.sock'): self
    {
        return new self($path, null);
    }

    /** The port, as the store's file names it: `127.0.0.1:8787`. The token is read from the file at each call. */
    public static function port(string $address, string $tokenFile): self
    {
        return new self($address, $tokenFile);
    }

    /** The socket's path, or the address. */
    public function place(): string
    {
        return $this->place;
    }

    /** Whether it is a socket. */
    public function isSocket(): bool
    {
        return $this->tokenFile === null;
    }

    /**
     * What goes with every call through this door.
     *
     * @return array<string, string>
     */
    public function headers(string $plugin): array
    {
        if ($this->tokenFile === null) {
            return ['Host' => 'localhost'];
        }
        return ['Host' => $this->place, 'Authorization' => 'Bearer ' . self::token($this->tokenFile, $plugin)];
    }

    private static function token(string $file, string $plugin): string
    {
        $text = @file_get_contents($file);
        if ($text === false) {
            throw new PermissionDenied(
                'token_file_unreadable',
                "The file with this plugin's token cannot be read: $file",
                "Let the plugin's user read it; its mode is 0640."
            );
        }
        $token = null;
        foreach (explode("\n", $text) as $line) {
            $words = preg_split('/\s+/', trim($line)) ?: [];
            if (count($words) === 2 && $words[0] === $plugin) {
                $token = $words[1];
            }
        }
        if ($token === null) {
            throw new PermissionDenied(
                'token_missing',
                "$file has no line for $plugin.",
                "Add a line \"$plugin TOKEN\" to it, then run: counterfoild reload"
            );
        }
        return $token;
    }
}
