<?php

declare(strict_types=1);

namespace Counterfoil\WordPress;

defined('ABSPATH') || exit;

/** What is hooked where. Nothing here calls the daemon. */
final class Plugin
{
    /** What a person needs to see the plugin's screens and to connect; mapped to the right to change the site's settings. */
    public const CAPABILITY = 'manage_counterfoil';

    private static string $file = '';

    /** Hooks everything in. */
    public static function start(string $file): void
    {
        self::$file = $file;
        add_filter('map_meta_cap', [self::class, 'mapCapability'], 10, 2);
        add_action('init', [self::class, 'init']);
        add_action('rest_api_init', [Webhook::class, 'register']);
        add_action('rest_api_init', [Ownership::class, 'register']);
        add_action(Check::HOOK, [Check::class, 'run']);
        add_filter('debug_information', [SiteHealth::class, 'information']);
        add_filter('site_status_tests', [SiteHealth::class, 'tests']);
        add_action('rest_api_init', [SiteHealth::class, 'register']);
        register_deactivation_hook($file, [self::class, 'deactivate']);
        Woo\Support::start($file);
        if (is_admin()) {
            Admin\Menu::start($file);
        }
        if (defined('WP_CLI') && WP_CLI) {
            \WP_CLI::add_command('counterfoil', Cli::class);
        }
    }

    /** The address of a file of the plugin. */
    public static function url(string $path): string
    {
        return plugins_url($path, self::$file);
    }

    /** The plugin's directory, with a final slash. */
    public static function directory(): string
    {
        return plugin_dir_path(self::$file);
    }

    /**
     * @param  list<string> $needed
     * @return list<string>
     */
    public static function mapCapability($needed, $capability)
    {
        return $capability === self::CAPABILITY ? ['manage_options'] : $needed;
    }

    /** What every request needs: the kind of post that payments are, the block and the shortcode. */
    public static function init(): void
    {
        Payments\Records::register();
        Payments\Button::register();
        if (!wp_next_scheduled(Check::HOOK)) {
            wp_schedule_event(time() + MINUTE_IN_SECONDS, 'hourly', Check::HOOK);
        }
    }

    /** Nothing is forgotten; only the check does not run any more. */
    public static function deactivate(bool $everywhere): void
    {
        $sites = $everywhere && is_multisite() ? get_sites(['fields' => 'ids', 'number' => 0]) : [0];
        foreach ($sites as $site) {
            if ($site !== 0) {
                switch_to_blog((int) $site);
            }
            wp_clear_scheduled_hook(Check::HOOK);
            if ($site !== 0) {
                restore_current_blog();
            }
        }
    }
}
