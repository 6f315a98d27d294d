<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

use RuntimeException;
use Throwable;

/** Whatever went wrong: a stable code, a sentence for a person, and what to do. None of them holds a secret. */
abstract class CounterfoilException extends RuntimeException
{
    private string $problemCode;
    private string $nextStep;
    private int $status;
    private ?int $retryAfter;

    final public function __construct(
        string $problemCode,
        string $message,
        string $nextStep = '',
        int $status = 0,
        ?int $retryAfter = null,
        ?Throwable $previous = null
    ) {
        parent::__construct($message, 0, $previous);
        $this->problemCode = $problemCode;
        $this->nextStep = $nextStep;
        $this->status = $status;
        $this->retryAfter = $retryAfter;
    }

    /** The stable code: `not_connected`, `daemon_missing`, … */
    public function problemCode(): string
    {
        return $this->problemCode;
    }

    /** What to do, as a sentence for a person; empty where nothing can be said. */
    public function nextStep(): string
    {
        return $this->nextStep;
    }

    /** The HTTP status; 0 where nothing was answered. */
    public function status(): int
    {
        return $this->status;
    }

    /** Seconds to wait, where waiting helps and the time is known. */
    public function retryAfter(): ?int
    {
        return $this->retryAfter;
    }
}
