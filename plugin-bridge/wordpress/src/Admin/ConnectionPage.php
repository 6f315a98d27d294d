<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Bridge\Exception\DaemonMissing;
use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Daemon;
use Counterfoil\WordPress\Plugin;
use Counterfoil\WordPress\Words;

defined('ABSPATH') || exit;

/** The one page of settings: whether it works, who gets paid, and what to do. It needs no script. */
final class ConnectionPage
{
    public static function render(): void
    {
        if (!current_user_can(Plugin::CAPABILITY)) {
            return;
        }
        $connection = Connection::read();
        echo '<div class="wrap counterfoil"><h1>' . esc_html__('Connection', 'counterfoil') . '</h1>';
        Notice::render();
        self::signedOut();
        if ($connection->problem() !== null) {
            Notice::box(['kind' => 'error'] + Words::problem($connection->problem()));
            if ($connection->problem() instanceof DaemonMissing) {
                self::firstSteps();
            }
        } else {
            self::state($connection);
            self::facts($connection);
            self::buttons($connection);
        }
        self::settings();
        echo '</div>';
    }

    /** Somebody came back from the platform without being signed in here, and has signed in since. */
    private static function signedOut(): void
    {
        // phpcs:ignore WordPress.Security.NonceVerification.Recommended -- a sentence is shown, nothing is done.
        if (isset($_GET['signed_out'])) {
            $message = __('You were not signed in when the approval came back, so it was not used.', 'counterfoil');
            $next = __('Press Connect to begin again. An earlier connection is as it was.', 'counterfoil');
            Notice::box(['kind' => 'info', 'code' => '', 'command' => ''] + compact('message', 'next'));
        }
    }

    private static function state(Connection $connection): void
    {
        $state = $connection->state();
        if ($state === 'safe_mode') {
            self::safeMode($connection);
            return;
        }
        if (!$connection->hasOurCallback()) {
            /* translators: %s: an address */
            $next = __('Set redirect_uri in the store\'s file to %s, then have the daemon read it again.', 'counterfoil');
            $message = __('The daemon is set up for another address than this site\'s.', 'counterfoil');
            $next = sprintf($next, Daemon::callbackUrl());
            Notice::box(['kind' => 'error', 'code' => 'callback_elsewhere', 'command' => 'counterfoild reload'] + compact('message', 'next'));
        }
        if ($state === 'connected' && !$connection->isConfirmed()) {
            self::confirmation($connection);
        }
        $needs = in_array($connection->text('condition'), ['needs_person', 'impaired'], true);
        if ($needs) {
            $kind = $connection->text('condition') === 'impaired' ? 'warning' : 'error';
            $message = $connection->text('summary');
            $next = $connection->text('next_step');
            Notice::box(['kind' => $kind, 'code' => $connection->text('last_error', 'code'), 'command' => ''] + compact('message', 'next'));
        }
    }

    /** No payment goes anywhere before a person has looked at this name. */
    private static function confirmation(Connection $connection): void
    {
        echo '<div class="notice notice-warning counterfoil-confirm">';
        printf('<h2>%s</h2>', esc_html__('Is this the company that gets paid?', 'counterfoil'));
        printf('<p class="counterfoil-company"><bdi>%s</bdi></p>', esc_html($connection->companyName()));
        $why = __('No payment is taken until you have confirmed it. If it is not yours, disconnect.', 'counterfoil');
        printf('<p>%s</p>', esc_html($why));
        Actions::form('confirm');
        printf('<input type="hidden" name="company" value="%s">', esc_attr($connection->text('company', 'id')));
        submit_button(__('Yes, this company gets paid', 'counterfoil'), 'primary', 'submit', true, ['id' => 'counterfoil-confirm']);
        echo '</form></div>';
    }

    private static function safeMode(Connection $connection): void
    {
        echo '<div class="notice notice-warning counterfoil-safe"><h2>' . esc_html__('Safe mode', 'counterfoil') . '</h2>';
        $why = __('This site looks like a copy of the store that is connected, so it does nothing. The original goes on working.', 'counterfoil');
        printf('<p>%s</p><ul class="ul-disc">', esc_html($why));
        foreach ((array) $connection->at('safe_mode', 'evidence') as $sign) {
            printf('<li>%s</li>', esc_html((string) ($sign['message'] ?? '')));
        }
        printf('</ul><h3>%s</h3><dl>', esc_html__('What is this site?', 'counterfoil'));
        foreach ((array) $connection->at('safe_mode', 'choices') as $choice) {
            printf('<dt>%s</dt>', esc_html(Words::choice((string) ($choice['name'] ?? ''))));
            printf('<dd><p>%s</p>', esc_html((string) ($choice['message'] ?? '')));
            if (!empty($choice['command'])) {
                $where = __('On the store\'s machine:', 'counterfoil');
                printf('<p>%s <code>%s</code></p>', esc_html($where), esc_html((string) $choice['command']));
            }
            echo '</dd>';
        }
        echo '</dl></div>';
    }

    private static function facts(Connection $connection): void
    {
        $facts = [__('State', 'counterfoil') => Words::state($connection->state())];
        $connected = $connection->state() === 'connected';
        if ($connected) {
            $confirmed = $connection->isConfirmed() ? '' : ' (' . __('not confirmed yet', 'counterfoil') . ')';
            $facts[__('Company that gets paid', 'counterfoil')] = $connection->companyName() . $confirmed;
        }
        $facts[__('Payment platform', 'counterfoil')] = $connection->text('issuer');
        $facts[__('This store', 'counterfoil')] = $connection->text('site_url');
        if ($connected) {
            $facts[__('Connected since', 'counterfoil')] = Words::time($connection->time('connected_at'));
            $facts[__('Renewed', 'counterfoil')] = Words::time($connection->time('token', 'issued_at'));
        }
        $webhook = [
            'off' => __('off: webhook_url is missing in the store\'s file', 'counterfoil'),
            'waiting' => __('begin with the connection', 'counterfoil'),
            'pending' => __('being asked for', 'counterfoil'),
            'active' => __('arrive', 'counterfoil'),
            'refused' => __('refused by the payment platform', 'counterfoil'),
        ];
        // A stranger to the connection, as a copy is, is told nothing of it.
        $ours = $connection->text('thumbprint') !== '';
        if ($ours) {
            $facts[__('Notifications about payments', 'counterfoil')] = $webhook[$connection->text('webhook', 'state')] ?? '–';
        }
        echo '<h2>' . esc_html__('This connection', 'counterfoil') . '</h2>';
        echo '<table class="widefat striped counterfoil-facts"><tbody>';
        foreach ($facts as $name => $value) {
            printf('<tr><th scope="row">%s</th><td><bdi>%s</bdi></td></tr>', esc_html($name), esc_html($value !== '' ? $value : '–'));
        }
        if ($ours) {
            printf(
                '<tr><th scope="row">%s</th><td><code>%s</code></td></tr>',
                esc_html__('Fingerprint of this store\'s key', 'counterfoil'),
                esc_html($connection->text('thumbprint'))
            );
        }
        if ($connected) {
            printf('<tr><th scope="row">%s</th><td><ul class="ul-disc">', esc_html__('What this store may do', 'counterfoil'));
            foreach ((array) $connection->at('scopes') as $scope) {
                printf('<li>%s</li>', esc_html(Words::scope((string) $scope)));
            }
            echo '</ul></td></tr>';
        }
        /* translators: %s: a version */
        $daemon = sprintf(__('found, version %s', 'counterfoil'), $connection->text('version'));
        printf('<tr><th scope="row">%s</th><td>%s</td></tr>', esc_html__('Daemon', 'counterfoil'), esc_html($daemon));
        echo '</tbody></table>';
    }

    private static function buttons(Connection $connection): void
    {
        $state = $connection->state();
        if ($state === 'safe_mode' || $state === 'degraded') {
            return;
        }
        echo '<div class="counterfoil-buttons">';
        if ($state === 'connected') {
            self::button('test', __('Make a test call', 'counterfoil'), 'primary');
            self::button('connect', __('Reconnect', 'counterfoil'), 'secondary');
        } elseif ($state !== 'disconnect_pending') {
            self::button('connect', __('Connect', 'counterfoil'), 'primary');
        }
        echo '</div>';
        if (in_array($state, ['unregistered', 'disconnected', 'awaiting_approval', 'reconnect_required'], true)) {
            $what = __('You sign in at the payment platform, choose the company that gets paid, and approve. Then you are back here.', 'counterfoil');
            printf('<p class="description">%s</p>', esc_html($what));
        }
        if (in_array($state, ['connected', 'disconnect_pending', 'reconnect_required'], true)) {
            printf('<h2>%s</h2>', esc_html__('Disconnect', 'counterfoil'));
            $what = __('Ends the connection at the payment platform. Payment links of this store can then neither be made nor followed here until it is connected again.', 'counterfoil');
            printf('<p>%s</p>', esc_html($what));
            self::button('disconnect', __('Disconnect this store', 'counterfoil'), 'delete');
        }
    }

    private static function button(string $action, string $label, string $look): void
    {
        Actions::form($action, 'counterfoil-button');
        submit_button($label, $look, 'submit', false, ['id' => 'counterfoil-' . $action]);
        echo '</form>';
    }

    /** What to do where no daemon is there yet: its file, ready to be copied. */
    private static function firstSteps(): void
    {
        printf('<h2>%s</h2>', esc_html__('A daemon for this store', 'counterfoil'));
        $what = __('If none is installed yet, your host installs counterfoild on this machine and gives it this file, /etc/counterfoil/store.toml:', 'counterfoil');
        printf('<p><label for="counterfoil-file">%s</label></p>', esc_html($what));
        $lines = substr_count(Daemon::storeFile(), "\n");
        printf(
            '<textarea id="counterfoil-file" class="large-text code" readonly rows="%d">%s</textarea>',
            (int) $lines,
            esc_textarea(Daemon::storeFile())
        );
    }

    private static function settings(): void
    {
        printf('<h2>%s</h2>', esc_html__('Where the daemon is', 'counterfoil'));
        $fixed = !Daemon::mayBeMoved();
        Actions::form('settings');
        echo '<table class="form-table" role="presentation"><tbody><tr>';
        printf('<th scope="row"><label for="counterfoil-socket">%s</label></th><td>', esc_html__('Socket', 'counterfoil'));
        printf(
            '<input type="text" class="regular-text code" id="counterfoil-socket" name="socket" value="%s" aria-describedby="counterfoil-socket-says"%s>',
            esc_attr(Daemon::socket()),
            $fixed ? ' readonly' : ''
        );
        $says = __('The same path as local.socket in the store\'s file.', 'counterfoil');
        if ($fixed) {
            $says = Daemon::isFixed()
                ? __('wp-config.php says so (COUNTERFOIL_SOCKET).', 'counterfoil')
                : __('The administrator of this network says where it is.', 'counterfoil');
        }
        printf('<p class="description" id="counterfoil-socket-says">%s</p></td></tr></tbody></table>', esc_html($says));
        if (!$fixed) {
            submit_button(__('Save', 'counterfoil'), 'secondary', 'submit', true, ['id' => 'counterfoil-settings']);
        }
        echo '</form>';
    }
}
