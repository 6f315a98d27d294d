<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Check;
use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Daemon;
use Counterfoil\WordPress\Words;

defined('ABSPATH') || exit;

/** The sites of a network and how the last check of each found it. Each has a connection of its own; no daemon is asked for this. */
final class NetworkPage
{
    private const SIZE = 50;

    public static function render(): void
    {
        if (!current_user_can(Menu::NETWORK_CAPABILITY)) {
            return;
        }
        // phpcs:ignore WordPress.Security.NonceVerification.Recommended -- only which page is shown is read here.
        $page = isset($_GET['paged']) ? max(1, absint(wp_unslash($_GET['paged']))) : 1;
        $number = (int) get_sites(['count' => true]);
        echo '<div class="wrap counterfoil"><h1>' . esc_html__('Counterfoil on this network', 'counterfoil') . '</h1>';
        $what = __('Each site that takes payments has a connection and a daemon of its own. Where its daemon is, you set on its page.', 'counterfoil');
        printf('<p>%s</p>', esc_html($what));
        echo '<table class="widefat striped counterfoil-payments"><thead><tr>';
        $columns = [__('Site', 'counterfoil'), __('Payments', 'counterfoil'), __('The last check', 'counterfoil'), __('Socket', 'counterfoil')];
        foreach ($columns as $column) {
            printf('<th scope="col">%s</th>', esc_html($column));
        }
        echo '</tr></thead><tbody>';
        foreach (get_sites(['fields' => 'ids', 'number' => self::SIZE, 'offset' => ($page - 1) * self::SIZE, 'orderby' => 'id']) as $site) {
            switch_to_blog((int) $site);
            self::row();
            restore_current_blog();
        }
        echo '</tbody></table>';
        $base = add_query_arg('paged', '%#%', network_admin_url('admin.php?page=' . Menu::CONNECTION));
        $links = paginate_links(['base' => $base, 'format' => '', 'total' => (int) ceil($number / self::SIZE), 'current' => $page]);
        if (is_string($links) && $links !== '') {
            printf('<nav class="tablenav-pages" aria-label="%s">%s</nav>', esc_attr__('Pages', 'counterfoil'), wp_kses_post($links));
        }
        echo '</div>';
    }

    /** The site that is switched to. */
    private static function row(): void
    {
        $confirmed = Connection::confirmedCompany() !== '';
        $trouble = Check::trouble();
        if ($trouble !== null) {
            $found = (string) $trouble['message'];
        } elseif ($confirmed && Check::at() !== null) {
            /* translators: %s: a time */
            $found = sprintf(__('No trouble (%s)', 'counterfoil'), Words::time(Check::at()));
        } else {
            $found = '–';
        }
        printf('<tr><th scope="row"><a href="%s">%s</a><br>', esc_url(Menu::url()), esc_html((string) get_option('blogname')));
        printf('<small>%s</small></th>', esc_html((string) get_option('home')));
        printf('<td>%s</td>', esc_html($confirmed ? __('Takes payments', 'counterfoil') : __('Not connected', 'counterfoil')));
        printf('<td>%s</td><td><code>%s</code></td></tr>', esc_html($found), esc_html(Daemon::socket()));
    }
}
