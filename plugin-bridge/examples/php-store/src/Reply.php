<?php

declare(strict_types=1);

namespace ExampleStore;

/** What a request is answered with. */
final class Reply
{
    private int $status;
    /** @var list<string> */
    private array $headers;
    private string $body;

    /** @param list<string> $headers */
    private function __construct(int $status, array $headers, string $body)
    {
        $this->status = $status;
        $this->headers = $headers;
        $this->body = $body;
    }

    /** A page; `$content` is HTML. */
    public static function page(string $title, string $content, int $status = 200): self
    {
        $title = self::text($title);
        return new self($status, ['Content-Type: text/html; charset=utf-8', 'Cache-Control: no-store'], <<<HTML
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <title>$title – Example store</title>
            <style>body{font:1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
            button,input{font:inherit;padding:.6rem 1rem}button{background:#1d4ed8;color:#fff;border:0;border-radius:.4rem;cursor:pointer}
            button.ends{background:#b42318}form{margin-block:.75rem}code{overflow-wrap:anywhere}dt{font-weight:600}nav a{margin-inline-end:1rem}
            [role=status],[role=alert]{border-inline-start:.3rem solid #1d4ed8;padding:.5rem 1rem;background:#eef2ff}
            [role=alert]{border-color:#b42318;background:#fef3f2}</style></head>
            <body><nav><a href="/">The store</a><a href="/office">The office</a></nav><main><h1>$title</h1>$content</main></body></html>
            HTML);
    }

    /** Sends the browser elsewhere. */
    public static function to(string $url): self
    {
        return new self(303, ["Location: $url", 'Cache-Control: no-store'], '');
    }

    /** @param array<string, mixed> $body */
    public static function json(int $status, array $body): self
    {
        return new self($status, ['Content-Type: application/json', 'Cache-Control: no-store'], (string) json_encode($body));
    }

    /** A text as HTML shows it. */
    public static function text(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
    }

    public function send(): void
    {
        http_response_code($this->status);
        array_map('header', $this->headers);
        echo $this->body;
    }
}
