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
     * Begins to connect the store, and prints the address at which an administrator approves it.
     *
     * Say as whom with --user: that person opens the address, in any browser in which they are signed in here.
     *
     * ## EXAMPLES
     *
     *     wp counterfoil connect --user=admin
     */
    public function connect(): void
    {
        if (!current_user_can(Plugin::CAPABILITY)) {
            \WP_CLI::error('Say which administrator will approve it: wp counterfoil connect --user=NAME');
            return;
        }
        try {
            $url = Attempt::open();
        } catch (CounterfoilException $problem) {
            self::fail($problem);
        }
        \WP_CLI::line($url);
        $name = wp_get_current_user()->user_login;
        \WP_CLI::line(sprintf('Open it within ten minutes, in a browser in which %s is signed in at %s.', $name, home_url()));
        \WP_CLI::line(sprintf('Then confirm there who gets paid: %s', admin_url('admin.php?page=counterfoil')));
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
