<?php

declare(strict_types=1);

namespace Counterfoil\Tests;

use Counterfoil\Exception\CallRefused;
use Counterfoil\Exception\DaemonFailed;
use Counterfoil\Problem;
use PHPUnit\Framework\TestCase;

/** Every code that the local API describes is told by an exception that says what to do. */
final class DescribedTest extends TestCase
{
    /** The ones that only a mistake in a plugin earns, or that plugins never see. */
    private const MISTAKES = [
        'adopt_refused', 'approval_pending', 'body_broken_off', 'body_malformed', 'body_too_large', 'call_refused',
        'key_unproven', 'not_in_safe_mode', 'path_refused', 'separate_refused', 'site_header_malformed',
    ];
    /** The ones for which nothing better can be said than that the daemon or the way to the platform failed. */
    private const FAILURES = [
        'config_refused', 'degraded', 'internal', 'key_rotation_refused', 'storage_failed', 'token_echoed',
        'upstream_too_large', 'webhook_refused',
    ];

    public function testEveryCode(): void
    {
        $description = (string) file_get_contents(__DIR__ . '/../../local-api.md');
        $this->assertGreaterThan(60, preg_match_all('/^\| `([a-z_]+)` \| (\d{3}) \|/m', $description, $rows, PREG_SET_ORDER));
        foreach ($rows as [, $code, $status]) {
            $kind = Problem::kindOf($code, (int) $status);
            if ($kind === CallRefused::class) {
                $this->assertContains($code, self::MISTAKES, "$code is a mistake of the plugin's?");
            }
            if ($kind === DaemonFailed::class) {
                $this->assertContains($code, self::FAILURES, "$code is a failure of the daemon's?");
            }
        }
    }
}
