<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

use Counterfoil\WordPress\Bridge\Exception\CounterfoilException;

defined('ABSPATH') || exit;

/** What Site Health shows: facts for support, one test that asks nobody, one that makes a call to the platform. */
final class SiteHealth
{
    private const TEST = 'counterfoil/v1/tests/connection';

    public static function register(): void
    {
        register_rest_route('counterfoil/v1', '/tests/connection', [
            'methods' => 'GET',
            'callback' => [self::class, 'connection'],
            'permission_callback' => static function (): bool {
                return current_user_can('view_site_health_checks') && current_user_can(Plugin::CAPABILITY);
            },
        ]);
    }

    /**
     * @param  array<string, mixed> $tests
     * @return array<string, mixed>
     */
    public static function tests($tests)
    {
        $tests['direct']['counterfoil_trouble'] = ['label' => __('Counterfoil: the last check', 'counterfoil'), 'test' => [self::class, 'lastCheck']];
        $tests['async']['counterfoil_connection'] = [
            'label' => __('Counterfoil: the connection to the payment platform', 'counterfoil'),
            'test' => rest_url(self::TEST),
            'has_rest' => true,
            'async_direct_test' => [self::class, 'connection'],
        ];
        return $tests;
    }

    /**
     * What the hourly check found.
     *
     * @return array<string, mixed>
     */
    public static function lastCheck(): array
    {
        $trouble = Check::trouble();
        if ($trouble === null) {
            return self::result('counterfoil_trouble', 'good', __('The last check of the payment connection found no trouble', 'counterfoil'), '');
        }
        return self::result('counterfoil_trouble', 'critical', (string) $trouble['message'], (string) $trouble['next']);
    }

    /**
     * A call to the platform, here and now.
     *
     * @return array<string, mixed>
     */
    public static function connection(): array
    {
        $test = 'counterfoil_connection';
        $connection = Connection::read();
        if ($connection->problem() === null && Connection::confirmedCompany() === '') {
            $words = Words::state($connection->state());
            return self::result($test, 'recommended', __('The store does not take payments yet', 'counterfoil'), $words);
        }
        try {
            $connection->payee();
            Daemon::client()->request('GET', 'makepay/payment-links?limit=1', null, null, 20.0);
        } catch (CounterfoilException $problem) {
            ['message' => $message, 'next' => $next, 'command' => $command] = Words::problem($problem);
            return self::result($test, 'critical', $message, trim($next . ' ' . $command));
        }
        /* translators: %s: a company's name */
        $label = sprintf(__('The store is connected to its payment platform and pays %s', 'counterfoil'), $connection->companyName());
        return self::result($test, 'good', $label, '');
    }

    /**
     * @param  array<string, mixed> $information
     * @return array<string, mixed>
     */
    public static function information($information)
    {
        $connection = Connection::read();
        $problem = $connection->problem();
        $fields = [
            'version' => [__('Plugin', 'counterfoil'), VERSION, false],
            'daemon' => [__('Daemon', 'counterfoil'), $problem === null ? $connection->text('version') : $problem->problemCode(), false],
            'state' => [__('State', 'counterfoil'), $connection->state(), false],
            'condition' => [__('Condition', 'counterfoil'), $connection->text('condition'), false],
            'last_error' => [__('Last error', 'counterfoil'), $connection->text('last_error', 'code'), false],
            'webhook' => [__('Notifications', 'counterfoil'), $connection->text('webhook', 'state'), false],
            'issuer' => [__('Payment platform', 'counterfoil'), $connection->text('issuer'), false],
            'confirmed' => [__('Company confirmed', 'counterfoil'), $connection->isConfirmed() ? 'yes' : 'no', false],
            'company' => [__('Company', 'counterfoil'), $connection->companyName(), true],
            'client' => [__('Installation', 'counterfoil'), $connection->text('client_id'), true],
            'thumbprint' => [__('Key\'s fingerprint', 'counterfoil'), $connection->text('thumbprint'), true],
            'socket' => [__('Socket', 'counterfoil'), Daemon::socket(), true],
        ];
        $information['counterfoil'] = ['label' => __('Counterfoil', 'counterfoil'), 'fields' => []];
        foreach ($fields as $name => [$label, $value, $private]) {
            $shown = $value !== '' ? $value : '–';
            $information['counterfoil']['fields'][$name] = ['label' => $label, 'value' => $shown, 'debug' => $shown, 'private' => $private];
        }
        return $information;
    }

    /** @return array<string, mixed> */
    private static function result(string $test, string $status, string $label, string $description): array
    {
        return [
            'label' => $label,
            'status' => $status,
            'badge' => ['label' => __('Payments', 'counterfoil'), 'color' => 'blue'],
            'description' => '<p>' . esc_html($description) . '</p>',
            'actions' => sprintf('<p><a href="%s">%s</a></p>', esc_url(admin_url('admin.php?page=counterfoil')), esc_html__('See the connection', 'counterfoil')),
            'test' => $test,
        ];
    }
}
