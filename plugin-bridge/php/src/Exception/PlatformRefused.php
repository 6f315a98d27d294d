<?php

declare(strict_types=1);

namespace Counterfoil\Exception;

use Counterfoil\Answer;

/** The platform said no to a forwarded call; answer() is what it answered. */
final class PlatformRefused extends CounterfoilException
{
    private ?Answer $answer = null;

    /** The refusal in an answer of 400 or above. */
    public static function in(Answer $answer): self
    {
        $told = $answer->json();
        $told = is_array($told) ? $told : [];
        $word = static function (string $name) use ($told): ?string {
            return isset($told[$name]) && is_string($told[$name]) ? $told[$name] : null;
        };
        $refusal = new self(
            $word('errorCode') ?? $word('error') ?? 'http_' . $answer->status(),
            $word('error_description') ?? $word('error') ?? sprintf('The payment platform answered %d.', $answer->status()),
            '',
            $answer->status()
        );
        $refusal->answer = $answer;
        return $refusal;
    }

    /** What the platform answered. */
    public function answer(): ?Answer
    {
        return $this->answer;
    }
}
