<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;

defined('ABSPATH') || exit;

/**
 * Looks after the connection to the payment platform.
 */
final class Cli
{
    /**
     * Says how the connection is.
     *
     * ## OPTIONS
     *
     * [--format=<format>]
     * : text or json
     * ---
     * default: text
     * options:
     *   - text
     *   - json
     * ---
     *
     * @param list<string>          $arguments
     * @param array<string, string> $options
     */
    public function status($arguments, $options): void
    {
        $connection = Connection::read();
        $problem = $connection->problem();
        $told = $problem !== null ? ['state' => 'unknown'] + Words::problem($problem) : [
            'state' => $connection->state(),
            'message' => $connection->text('summary'),
            'next' => $connection->text('next_step'),
            'code' => $connection->text('last_error', 'code'),
        ];
        $told += [
            'company' => $connection->companyName(),
            'confirmed' => $connection->isConfirmed(),
            'platform' => $connection->text('issuer'),
            'key' => $connection->text('thumbprint'),
        ];
        if (($options['format'] ?? 'text') === 'json') {
            \WP_CLI::line((string) wp_json_encode($told, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE));
        } else {
            foreach ($told as $name => $value) {
                \WP_CLI::line(sprintf('%-10s %s', $name, is_bool($value) ? ($value ? 'yes' : 'no') : $value));
            }
        }
        if (!$connection->isReady()) {
            \WP_CLI::halt(1);
        }
    }

    /**
     * Says where an administrator approves the store: the browser must be the one that is signed in there, so Connect is
     * pressed on that page.
     */
    public function connect(): void
    {
        $connection = Connection::read();
        if ($connection->problem() !== null) {
            self::fail($connection->problem());
        }
        \WP_CLI::line(sprintf('Open %s as an administrator and press Connect.', admin_url('admin.php?page=counterfoil')));
        \WP_CLI::line('Without this site, on the store\'s machine: counterfoild connect');
    }

    /**
     * Ends the connection. Well where there is none.
     */
    public function disconnect(): void
    {
        try {
            $answer = in_array(Connection::read()->state(), ['disconnected', 'unregistered'], true) ? [] : Daemon::client()->disconnect();
        } catch (CounterfoilException $problem) {
            self::fail($problem);
        }
        delete_option('counterfoil_confirmed');
        Check::forget();
        if (!empty($answer['pending'])) {
            \WP_CLI::warning((string) ($answer['summary'] ?? 'The platform has not confirmed it yet.'));
            return;
        }
        \WP_CLI::success('The store is disconnected.');
    }

    /**
     * Makes a call to the payment platform.
     */
    public function test(): void
    {
        try {
            Daemon::client()->request('GET', 'makepay/payment-links?limit=1', null, null, 20.0);
        } catch (CounterfoilException $problem) {
            self::fail($problem);
        }
        \WP_CLI::success('The payment platform answered.');
    }

    /** @return never */
    private static function fail(CounterfoilException $problem): void
    {
        ['message' => $message, 'next' => $next, 'command' => $command, 'code' => $code] = Words::problem($problem);
        \WP_CLI::error(trim("$message $next $command") . " ($code)");
        exit(1);
    }
}
