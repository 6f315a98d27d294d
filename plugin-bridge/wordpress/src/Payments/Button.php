<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Payments;

use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Plugin;

defined('ABSPATH') || exit;

/** A payment link on a page, as a block or a shortcode: written from what this site knows, without asking anybody. */
final class Button
{
    public static function register(): void
    {
        register_block_type(Plugin::directory() . 'block', ['render_callback' => [self::class, 'render']]);
        add_shortcode('counterfoil_payment', [self::class, 'shortcode']);
        add_action('enqueue_block_editor_assets', [self::class, 'offer']);
    }

    /**
     * `[counterfoil_payment id="12" label="Pay the deposit"]`.
     *
     * @param array<string, string>|string $attributes
     */
    public static function shortcode($attributes): string
    {
        $given = shortcode_atts(['id' => '0', 'label' => ''], is_array($attributes) ? $attributes : []);
        return self::render(['payment' => (int) $given['id'], 'label' => (string) $given['label']]);
    }

    /** @param array<string, mixed> $attributes */
    public static function render(array $attributes): string
    {
        $record = Records::byId((int) ($attributes['payment'] ?? 0));
        if ($record === null || $record->uid === '') {
            return '';
        }
        if (Progress::isFinal($record->status)) {
            return '<p class="counterfoil-payment">' . esc_html__('This has been paid. Thank you!', 'counterfoil') . '</p>';
        }
        if (!$record->isOpen() || $record->company !== Connection::confirmedCompany()) {
            return '<p class="counterfoil-payment">' . esc_html__('This cannot be paid at the moment.', 'counterfoil') . '</p>';
        }
        $label = is_string($attributes['label'] ?? null) ? trim($attributes['label']) : '';
        if ($label === '') {
            /* translators: 1: an amount, 2: a currency */
            $label = sprintf(__('Pay %1$s %2$s', 'counterfoil'), $record->amount, $record->currency);
        }
        $link = '<div class="wp-block-button counterfoil-payment"><a class="wp-block-button__link wp-element-button" href="%s" rel="nofollow">%s</a></div>';
        return sprintf($link, esc_url($record->url), esc_html($label));
    }

    /** The payments that an editor can choose from. */
    public static function offer(): void
    {
        if (!current_user_can(Plugin::CAPABILITY)) {
            return;
        }
        $offers = array_map(static function (Record $record): array {
            $name = trim($record->amount . ' ' . $record->currency . ' ' . $record->description);
            return ['value' => $record->id, 'label' => '#' . $record->id . ' ' . $name];
        }, Records::open(100));
        $script = 'window.counterfoilPayments = ' . wp_json_encode($offers, JSON_HEX_TAG | JSON_HEX_AMP) . ';';
        wp_add_inline_script('counterfoil-payment-editor-script', $script, 'before');
    }
}
