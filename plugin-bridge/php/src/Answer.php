<?php

declare(strict_types=1);

namespace Counterfoil;

/** An answer, as it came. */
final class Answer
{
    private int $status;
    /** @var array<string, string> */
    private array $headers;
    private string $body;

    /** @param array<string, string> $headers names in lower case; of one that came twice, the last */
    public function __construct(int $status, array $headers, string $body)
    {
        $this->status = $status;
        $this->headers = $headers;
        $this->body = $body;
    }

    /** The HTTP status. */
    public function status(): int
    {
        return $this->status;
    }

    /** A header, its name in any case; empty where there is none. */
    public function header(string $name): string
    {
        return $this->headers[strtolower($name)] ?? '';
    }

    /** The body's bytes. */
    public function body(): string
    {
        return $this->body;
    }

    /**
     * The body, where it is JSON: objects are arrays. Null where it is none.
     *
     * @return mixed
     */
    public function json()
    {
        if (preg_match('#^application/(?:[a-z.+-]+\+)?json\s*(?:;|$)#i', $this->header('content-type')) !== 1) {
            return null;
        }
        return json_decode($this->body, true, 64);
    }

    /** Whether the daemon itself tells of a problem; everything else that a forwarded call answers is the platform's. */
    public function isProblem(): bool
    {
        return preg_match('#^application/problem\+json\s*(?:;|$)#i', $this->header('content-type')) === 1;
    }

    /** Seconds of `Retry-After`, or null. */
    public function retryAfter(): ?int
    {
        $seconds = $this->header('retry-after');
        return preg_match('/^\d{1,9}$/', $seconds) === 1 ? (int) $seconds : null;
    }
}
