<?php

declare(strict_types=1);

namespace Counterfoil;

use Counterfoil\Exception\CallRefused;

/** Which site calls: a copy often has the shop's database, user and socket, and is told apart by what it says of itself. */
final class Site
{
    private string $header;

    /**
     * @param string $home the address that visitors know; in WordPress `get_option('home')`
     * @param int    $blog the number of the blog, from 1
     * @param string $path the directory of the site's code; in WordPress `ABSPATH`
     */
    public function __construct(string $home, int $blog, string $path)
    {
        if ($blog < 1) {
            throw new CallRefused('argument', 'The number of a blog begins at 1.');
        }
        $this->header = implode('; ', [
            self::encode('/[^\x21-\x3a\x3c-\x7e]/', $home),
            (string) $blog,
            self::encode('#[^A-Za-z0-9/._~-]#', $path),
        ]);
    }

    /** The value of `Counterfoil-Site`. */
    public function header(): string
    {
        return $this->header;
    }

    private static function encode(string $others, string $text): string
    {
        return (string) preg_replace_callback($others, static function (array $found): string {
            return sprintf('%%%02X', ord($found[0]));
        }, $text);
    }
}
