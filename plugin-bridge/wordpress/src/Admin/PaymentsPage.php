<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Admin;

use Counterfoil\WordPress\Connection;
use Counterfoil\WordPress\Payments\Progress;
use Counterfoil\WordPress\Payments\Record;
use Counterfoil\WordPress\Payments\Records;
use Counterfoil\WordPress\Plugin;
use Counterfoil\WordPress\Words;

defined('ABSPATH') || exit;

/** The list of payments: to make one, send its link, see how it stands, put it away. */
final class PaymentsPage
{
    private const SIZE = 20;

    public static function render(): void
    {
        if (!current_user_can(Plugin::CAPABILITY)) {
            return;
        }
        $connection = Connection::read();
        echo '<div class="wrap counterfoil"><h1>' . esc_html__('Payments', 'counterfoil') . '</h1>';
        Notice::render();
        if ($connection->isReady()) {
            self::creation($connection->companyName());
        } else {
            $why = __('Payment links can be made when the store is connected and the company that gets paid is confirmed.', 'counterfoil');
            printf(
                '<div class="notice notice-warning"><p>%s <a href="%s">%s</a></p></div>',
                esc_html($why),
                esc_url(Menu::url()),
                esc_html__('See the connection', 'counterfoil')
            );
        }
        self::list($connection->isReady());
        echo '</div>';
    }

    private static function creation(string $company): void
    {
        echo '<h2>' . esc_html__('New payment link', 'counterfoil') . '</h2>';
        /* translators: %s: a company's name */
        printf('<p>%s</p>', esc_html(sprintf(__('Whoever opens the link pays %s.', 'counterfoil'), $company)));
        Actions::form('create');
        printf('<input type="hidden" name="request" value="%s">', esc_attr(wp_generate_uuid4()));
        $rows = [
            ['amount', __('Amount', 'counterfoil'), 'inputmode="decimal" required class="small-text" placeholder="19.90"'],
            ['currency', __('Currency', 'counterfoil'), 'required class="small-text" maxlength="3" value="EUR"'],
            ['description', __('What it is for', 'counterfoil'), 'class="regular-text" maxlength="200"'],
        ];
        echo '<table class="form-table" role="presentation"><tbody>';
        foreach ($rows as [$name, $label, $more]) {
            printf('<tr><th scope="row"><label for="counterfoil-%1$s">%2$s</label></th>', esc_attr($name), esc_html($label));
            printf('<td><input type="text" id="counterfoil-%1$s" name="%1$s" ', esc_attr($name));
            // Three constants of this method.
            echo $more . '></td></tr>'; // phpcs:ignore WordPress.Security.EscapeOutput
        }
        echo '</tbody></table>';
        submit_button(__('Create the payment link', 'counterfoil'), 'primary', 'submit', true, ['id' => 'counterfoil-create']);
        echo '</form>';
    }

    private static function list(bool $ready): void
    {
        // phpcs:ignore WordPress.Security.NonceVerification.Recommended -- only which page is shown is read here.
        $page = isset($_GET['paged']) ? absint(wp_unslash($_GET['paged'])) : 1;
        [$records, $pages] = Records::page($page, self::SIZE);
        echo '<h2>' . esc_html__('All payments', 'counterfoil') . '</h2>';
        if ($records === []) {
            printf('<p>%s</p>', esc_html__('There are none yet.', 'counterfoil'));
            return;
        }
        echo '<table class="widefat striped counterfoil-payments"><thead><tr>';
        $columns = [
            __('Payment', 'counterfoil'), __('Amount', 'counterfoil'), __('Status', 'counterfoil'),
            __('Link', 'counterfoil'), __('What to do', 'counterfoil'),
        ];
        foreach ($columns as $column) {
            printf('<th scope="col">%s</th>', esc_html($column));
        }
        echo '</tr></thead><tbody>';
        foreach ($records as $record) {
            self::row($record, $ready);
        }
        echo '</tbody></table>';
        $links = paginate_links([
            'base' => add_query_arg('paged', '%#%', Menu::url(Menu::PAYMENTS)), 'format' => '', 'total' => $pages, 'current' => max(1, $page),
        ]);
        if ($links !== null && $links !== '') {
            printf('<nav class="tablenav-pages" aria-label="%s">%s</nav>', esc_attr__('Pages', 'counterfoil'), wp_kses_post($links));
        }
    }

    private static function row(Record $record, bool $ready): void
    {
        $name = '#' . $record->id . ' ' . $record->description;
        printf('<tr><th scope="row"><bdi>%s</bdi><br><small>%s</small></th>', esc_html($name), esc_html(Words::time($record->made)));
        printf('<td><bdi>%s %s</bdi></td>', esc_html($record->amount), esc_html($record->currency));
        printf('<td>%s</td><td>', esc_html(self::status($record)));
        if ($record->url !== '') {
            /* translators: %s: a payment's number */
            $label = sprintf(__('Address of payment %s, to be copied', 'counterfoil'), '#' . $record->id);
            $field = 'counterfoil-address-' . $record->id;
            printf('<span class="counterfoil-address"><input type="text" class="code" readonly id="%s"', esc_attr($field));
            printf(' value="%s" aria-label="%s">', esc_attr($record->url), esc_attr($label));
            printf('<button type="button" class="button button-small counterfoil-copy" aria-controls="%s" hidden>', esc_attr($field));
            printf('%s<span class="screen-reader-text"> (%s)</span></button></span>', esc_html__('Copy', 'counterfoil'), esc_html('#' . $record->id));
            printf('<small><code>[counterfoil_payment id="%d"]</code></small>', (int) $record->id);
        }
        echo '</td><td>';
        if ($ready && $record->uid === '') {
            Actions::form('create');
            printf('<input type="hidden" name="request" value="%s">', esc_attr($record->request));
            printf('<input type="hidden" name="amount" value="%s">', esc_attr($record->amount));
            printf('<input type="hidden" name="currency" value="%s">', esc_attr($record->currency));
            self::submit(__('Try again', 'counterfoil'), $record);
        } elseif ($ready && $record->uid !== '' && !$record->archived) {
            if (!Progress::isFinal($record->status)) {
                self::button('refresh', __('Ask how it stands', 'counterfoil'), $record);
            }
            self::button('archive', __('Archive: nobody can pay it then', 'counterfoil'), $record);
        }
        echo '</td></tr>';
    }

    private static function status(Record $record): string
    {
        if ($record->mismatch) {
            return __('Not as asked for: the platform tells of another amount, currency or order', 'counterfoil');
        }
        if ($record->uid === '') {
            return __('Not made yet', 'counterfoil');
        }
        $words = Words::payment($record->status);
        return $record->archived ? sprintf('%s (%s)', __('Archived', 'counterfoil'), $words) : $words;
    }

    private static function button(string $action, string $label, Record $record): void
    {
        Actions::form($action);
        printf('<input type="hidden" name="payment" value="%d">', (int) $record->id);
        self::submit($label, $record);
    }

    private static function submit(string $label, Record $record): void
    {
        printf(
            '<button type="submit" class="button button-small">%s<span class="screen-reader-text"> (%s)</span></button></form>',
            esc_html($label),
            esc_html('#' . $record->id)
        );
    }
}
