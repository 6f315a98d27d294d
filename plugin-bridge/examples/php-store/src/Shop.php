<?php

declare(strict_types=1);

namespace ExampleStore;

use Counterfoil\Client;
use Counterfoil\Exception\CounterfoilException;

/** One thing to buy: what customers see, and what the platform calls. */
final class Shop
{
    private const PRODUCT = 'A tide table';
    private const AMOUNT = '19.90';
    private const CURRENCY = 'EUR';
    private const LINKS = 'makepay/payment-links';

    private string $url;
    private Client $daemon;
    private Data $data;

    public function __construct(string $url, Client $daemon, Data $data)
    {
        $this->url = $url;
        $this->daemon = $daemon;
        $this->data = $data;
    }

    /** The product. The daemon is not asked for it: the page is as quick as it is without. */
    public function product(): Reply
    {
        $product = '<p>' . self::PRODUCT . ' for the harbour, ' . self::AMOUNT . ' ' . self::CURRENCY . '.</p>';
        if ($this->data->company() === '') {
            return Reply::page(self::PRODUCT, $product . '<p>It cannot be bought yet: the store is not connected.</p>');
        }
        // The order's name is on the page already: a button that is pressed twice makes one order.
        $order = Data::name();
        return Reply::page(self::PRODUCT, "$product<form method=\"post\" action=\"/buy\"><input type=\"hidden\" name=\"order\" value=\"$order\"><button>Buy it</button></form>");
    }

    /** Makes the order's payment link, once, and sends the customer there. */
    public function buy(string $order): Reply
    {
        if (!Data::isName($order)) {
            return Reply::to('/');
        }
        try {
            $kept = $this->data->change($order, function (array $kept) use ($order): array {
                return $kept !== [] ? $kept : $this->link($order);
            });
        } catch (CounterfoilException $problem) {
            $code = Reply::text($problem->problemCode());
            return Reply::page('Sorry', "<p role=\"alert\">This cannot be paid at the moment. Nothing was ordered. ($code)</p>", 503);
        }
        return Reply::to($kept['url']);
    }

    /** How an order stands. The platform is asked where it is not paid yet, since notifications come late or get lost. */
    public function order(string $order): Reply
    {
        $kept = $this->data->order($order);
        if ($kept === []) {
            return Reply::page('Not found', '<p>There is no such order.</p>', 404);
        }
        if ($kept['status'] !== 'paid') {
            try {
                $link = $this->daemon->request('GET', self::LINKS . '/' . rawurlencode($kept['uid']), null, null, 5.0)->json()['paymentLink'] ?? [];
                $kept = $this->learn($order, $link, (string) ($link['latestSession']['status'] ?? ''));
            } catch (CounterfoilException $problem) {
                // The notification brings it.
            }
        }
        $says = ['open' => 'It is not paid yet.', 'paid' => 'It is paid. Thank you!', 'wrong' => 'Something is wrong with its payment. We look at it.'];
        $pay = $kept['status'] === 'open' ? sprintf('<p><a href="%s">Pay it</a></p>', Reply::text($kept['url'])) : '';
        return Reply::page('Your order', sprintf('<p role="status">%s</p>%s', $says[$kept['status']], $pay));
    }

    /**
     * A notification: the daemon says whether it is genuine, and 200 is answered when what it says is written down.
     *
     * @param array<string, string> $headers
     */
    public function notification(array $headers, string $body): Reply
    {
        try {
            $event = $this->daemon->verifyWebhook($headers, $body)['event'];
            $link = is_array($event['paymentLink'] ?? null) ? $event['paymentLink'] : [];
            // Our order's name comes back in the link; that the link is this order's is judged by its own name.
            $order = is_string($link['merchantOrderId'] ?? null) ? $link['merchantOrderId'] : '';
            if ($this->data->order($order) !== []) {
                $this->learn($order, $link, is_string($event['status'] ?? null) ? $event['status'] : '');
            }
            return Reply::json(200, ['code' => 'received']);
        } catch (CounterfoilException $problem) {
            return Reply::json($problem->status() >= 400 ? $problem->status() : 503, ['code' => $problem->problemCode()]);
        }
    }

    /** The platform's question whose address this is. Who asks may be anybody: what is not for this store is not found. */
    public function challenge(string $nonce, string $client): Reply
    {
        try {
            return Reply::json(200, ['proof' => $this->daemon->ownership($nonce, $client)['proof']]);
        } catch (CounterfoilException $problem) {
            return Reply::json(404, ['code' => 'not_found']);
        }
    }

    /** @return array<string, string> */
    private function link(string $order): array
    {
        $status = $this->daemon->status();
        $company = (string) ($status['company']['id'] ?? '');
        if ($status['state'] === 'connected' && $company !== $this->data->company()) {
            throw new Unconfirmed('company_unconfirmed', 'Nobody has confirmed the company that gets paid.');
        }
        $back = "$this->url/order?id=$order";
        $payload = ['amount' => self::AMOUNT, 'fiatCurrency' => self::CURRENCY, 'orderId' => $order, 'description' => self::PRODUCT];
        $payload += ['returnUrl' => $back, 'successUrl' => $back, 'failureUrl' => $back];
        // The same key at each retry: however often it is tried, there is one link.
        $link = $this->daemon->request('POST', self::LINKS, ['payload' => $payload], "order-$order")->json()['paymentLink'] ?? [];
        if (!self::asksForThePrice($link) || !is_string($link['publicUrl'] ?? null)) {
            throw new Unconfirmed('link_unusable', 'The payment link is not the one that was asked for.');
        }
        return ['uid' => $link['uid'], 'url' => $link['publicUrl'], 'status' => 'open'];
    }

    /**
     * Takes over what the platform says. Paid stays paid, and what does not match the order pays nothing.
     *
     * @param  array<string, mixed> $link
     * @return array<string, string>
     */
    private function learn(string $order, array $link, string $status): array
    {
        return $this->data->change($order, static function (array $kept) use ($link, $status): array {
            if ($kept['status'] === 'paid' || ($link['uid'] ?? null) !== $kept['uid']) {
                return $kept;
            }
            $paid = $status === 'complete' ? 'paid' : $kept['status'];
            return ['status' => self::asksForThePrice($link) ? $paid : 'wrong'] + $kept;
        });
    }

    /** @param array<string, mixed> $link */
    private static function asksForThePrice(array $link): bool
    {
        $amount = $link['amount'] ?? $link['fiatAmount'] ?? '';
        return is_string($link['uid'] ?? null) && ($link['fiatCurrency'] ?? '') === self::CURRENCY
            && is_string($amount) && preg_match('/^19\.90*\z/', $amount) === 1;
    }
}
