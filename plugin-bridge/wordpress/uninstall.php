<?php

/**
 * Forgets what this plugin kept, here alone: the store's connection is the daemon's, and goes on. A copy that is removed
 * must not end the original's.
 *
 * @package Counterfoil
 */

declare(strict_types=1);

defined('WP_UNINSTALL_PLUGIN') || exit;

(static function (): void {
    $forget = static function (): void {
        foreach (['confirmed', 'trouble', 'checked', 'socket'] as $name) {
            delete_option('counterfoil_' . $name);
        }
        $payments = ['post_type' => 'counterfoil_payment', 'post_status' => 'any', 'fields' => 'ids', 'numberposts' => 200];
        while (($found = get_posts($payments)) !== []) {
            foreach ($found as $id) {
                wp_delete_post($id, true);
            }
        }
        // A request that was killed leaves the lock of its payment behind. No function of WordPress's finds options by their beginning.
        global $wpdb;
        // phpcs:ignore WordPress.DB.DirectDatabaseQuery -- once, and nothing of it is asked for again.
        $locks = $wpdb->get_col($wpdb->prepare("SELECT option_name FROM $wpdb->options WHERE option_name LIKE %s", $wpdb->esc_like('counterfoil_') . '%.lock'));
        foreach ($locks as $name) {
            delete_option($name);
        }
        wp_clear_scheduled_hook('counterfoil_check');
        $blog = get_current_blog_id();
        delete_metadata('user', 0, 'counterfoil_attempt_' . $blog, '', true);
        delete_metadata('user', 0, 'counterfoil_notice_' . $blog, '', true);
    };
    if (!is_multisite()) {
        $forget();
        return;
    }
    foreach (get_sites(['fields' => 'ids', 'number' => 0]) as $counterfoil_blog) {
        switch_to_blog((int) $counterfoil_blog);
        $forget();
        restore_current_blog();
    }
})();
