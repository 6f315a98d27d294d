<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Check;
use Counterfoil\WordPress\Daemon;
use Counterfoil\WordPress\Plugin;

defined('ABSPATH') || exit;

/** The plugin's own screens, what is posted to them, and the few things that are shown elsewhere. */
final class Menu
{
    public const CONNECTION = 'counterfoil';
    public const PAYMENTS = 'counterfoil-payments';

    /** What a person needs to see the sites of a network, and to say where their daemons are. */
    public const NETWORK_CAPABILITY = 'manage_network_options';

    /** Hooks in. */
    public static function start(string $file): void
    {
        add_action('admin_menu', [self::class, 'add']);
        add_action('network_admin_menu', [self::class, 'addToNetwork']);
        add_action('admin_init', [self::class, 'privacy']);
        add_action('admin_enqueue_scripts', [self::class, 'style']);
        add_action('admin_notices', [self::class, 'trouble']);
        add_filter('plugin_action_links_' . plugin_basename($file), [self::class, 'links']);
        Actions::register();
        add_action('admin_post_' . Daemon::CALLBACK, [Callback::class, 'handle']);
        add_action('admin_post_nopriv_' . Daemon::CALLBACK, [Callback::class, 'signedOut']);
    }

    /** The address of one of the screens. */
    public static function url(string $page = self::CONNECTION): string
    {
        return admin_url('admin.php?page=' . $page);
    }

    public static function add(): void
    {
        $name = __('Counterfoil', 'counterfoil');
        $can = Plugin::CAPABILITY;
        $connection = [ConnectionPage::class, 'render'];
        add_menu_page($name, $name, $can, self::CONNECTION, $connection, 'dashicons-tickets-alt', 58);
        $title = __('Connection', 'counterfoil');
        add_submenu_page(self::CONNECTION, $title, $title, $can, self::CONNECTION, $connection);
        $title = __('Payments', 'counterfoil');
        add_submenu_page(self::CONNECTION, $title, $title, $can, self::PAYMENTS, [PaymentsPage::class, 'render']);
    }

    /** The page of a network's administrator. */
    public static function addToNetwork(): void
    {
        $name = __('Counterfoil', 'counterfoil');
        add_menu_page($name, $name, self::NETWORK_CAPABILITY, self::CONNECTION, [NetworkPage::class, 'render'], 'dashicons-tickets-alt', 58);
    }

    public static function style(): void
    {
        if (self::isOurs()) {
            wp_enqueue_style('counterfoil-admin', Plugin::url('assets/admin.css'), [], \Counterfoil\WordPress\VERSION);
        }
        if (self::isOurs(self::PAYMENTS)) {
            wp_enqueue_script('counterfoil-admin', Plugin::url('assets/admin.js'), ['wp-a11y', 'wp-i18n'], \Counterfoil\WordPress\VERSION, true);
            wp_set_script_translations('counterfoil-admin', 'counterfoil');
        }
    }

    /**
     * @param  array<string, string> $links
     * @return array<string, string>
     */
    public static function links($links)
    {
        $text = get_option('counterfoil_confirmed') ? __('Settings', 'counterfoil') : __('Set up', 'counterfoil');
        $link = sprintf('<a href="%s">%s</a>', esc_url(self::url()), esc_html($text));
        return ['counterfoil' => $link] + $links;
    }

    /** What the hourly check found, on the list of plugins and the payments' screen: nobody is asked for it. */
    public static function trouble(): void
    {
        $screen = get_current_screen();
        $trouble = Check::trouble();
        $shown = self::isOurs() && !self::isOurs(self::CONNECTION) || ($screen !== null && $screen->id === 'plugins');
        if ($trouble === null || !$shown || !current_user_can(Plugin::CAPABILITY)) {
            return;
        }
        $link = sprintf('<a href="%s">%s</a>', esc_url(self::url()), esc_html__('See what to do', 'counterfoil'));
        printf(
            '<div class="notice notice-error is-dismissible"><p><strong>%s</strong> %s %s</p></div>',
            esc_html__('Counterfoil:', 'counterfoil'),
            esc_html($trouble['message']),
            wp_kses($link, ['a' => ['href' => true]])
        );
    }

    /** What a shop may say about this plugin in its privacy policy. */
    public static function privacy(): void
    {
        $text = __('When you pay, you are sent to our payment platform. We hand over the amount, the currency, a description, the number of the payment and, for orders of our shop, the order\'s number, the e-mail address of your billing details and the address of the page that you come back to, in which the order\'s number and key are, so that the platform can take your payment and tell us about it. On this site we keep the same, and the payment\'s status.', 'counterfoil');
        wp_add_privacy_policy_content(__('Counterfoil', 'counterfoil'), wp_kses_post(wpautop($text)));
    }

    private static function isOurs(string ...$pages): bool
    {
        // phpcs:ignore WordPress.Security.NonceVerification.Recommended -- only which screen is shown is read here.
        $page = isset($_GET['page']) ? sanitize_key(wp_unslash($_GET['page'])) : '';
        return in_array($page, $pages === [] ? [self::CONNECTION, self::PAYMENTS] : $pages, true);
    }
}
