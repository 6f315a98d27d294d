<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Tests;

use Counterfoil\WordPress\Payments\Record;
use Counterfoil\WordPress\Woo\Orders;
use PHPUnit\Framework\TestCase;

/** What news of a payment makes of an order. WooCommerce is in no registry, so its order is played. */
final class OrdersTest extends TestCase
{
    protected function setUp(): void
    {
        \WC_Order::$all = [];
        $GLOBALS['options'] = ['counterfoil_confirmed' => ['company' => 'co_1']];
    }

    public function testAnOrderIsPaidOnce(): void
    {
        $order = $this->order();
        $record = $this->record();
        foreach (['awaiting_deposit' => 'pending', 'deposit_received' => 'on-hold', 'complete' => 'processing'] as $status => $expected) {
            $record->status = $status;
            Orders::settle($record);
            Orders::settle($record);
            self::assertSame($expected, $order->status, $status);
        }
        self::assertSame(['on-hold', 'paid pl_1'], $order->done);
    }

    public function testAPaymentThatCouldNotBeWrittenDownIsTakenAgain(): void
    {
        $order = $this->order();
        $record = $this->record();
        $record->status = 'complete';
        $order->broken = true;
        $told = null;
        try {
            Orders::settle($record);
        } catch (\Throwable $problem) {
            $told = $problem->problemCode();
        }
        self::assertSame(['order_unwritten', []], [$told, $order->done]);
        $order->broken = false;
        Orders::settle($record);
        self::assertSame(['paid pl_1'], $order->done);
    }

    public function testAFailedAttemptMayBeFollowedByAPayment(): void
    {
        $order = $this->order();
        $record = $this->record();
        foreach (['expired', 'complete'] as $record->status) {
            Orders::settle($record);
        }
        self::assertSame(['failed', 'paid pl_1'], $order->done);
    }

    public function testWhatDoesNotMatchTheOrderDoesNotPayIt(): void
    {
        $changes = [
            'another amount' => static function (\WC_Order $order, Record $record): void {
                $order->total = '20.00';
            },
            'another currency' => static function (\WC_Order $order, Record $record): void {
                $order->currency = 'USD';
            },
            'the platform tells of another amount' => static function (\WC_Order $order, Record $record): void {
                $record->mismatch = true;
            },
            'another link' => static function (\WC_Order $order, Record $record): void {
                $order->meta[Orders::UID] = 'pl_2';
            },
            'another way to pay' => static function (\WC_Order $order, Record $record): void {
                $order->method = 'bank';
            },
            'another company' => static function (\WC_Order $order, Record $record): void {
                $record->company = 'co_2';
            },
        ];
        foreach ($changes as $name => $change) {
            $order = $this->order();
            $record = $this->record();
            $record->status = 'complete';
            $change($order, $record);
            Orders::settle($record);
            Orders::settle($record);
            self::assertSame(['on-hold'], $order->done, $name);
        }
    }

    public function testAPaidOrderStaysPaid(): void
    {
        $order = $this->order();
        $record = $this->record();
        $record->status = 'complete';
        Orders::settle($record);
        $record->status = 'failed';
        Orders::settle($record);
        self::assertSame(['paid pl_1'], $order->done);
        $second = $this->record();
        [$second->uid, $second->status] = ['pl_2', 'complete'];
        Orders::settle($second);
        self::assertSame(['paid pl_1', 'note'], $order->done);
        self::assertSame('processing', $order->status);
    }

    public function testAnOrderThatIsRememberedWrongIsNotPaidTwice(): void
    {
        $record = $this->record();
        $record->status = 'complete';
        $this->order();
        Orders::settle($record);
        // The same order as another request read it before: not paid, as far as it knows.
        $remembered = $this->order();
        Orders::settle($record);
        self::assertSame(['complete', []], [$record->settled, $remembered->done]);
    }

    public function testWhatIsForNoOrderIsLeftAlone(): void
    {
        $order = $this->order();
        $record = $this->record();
        $record->status = 'complete';
        foreach ([0, 99] as $record->order) {
            Orders::settle($record);
        }
        self::assertSame([], $order->done);
    }

    public function testTotalsAreExact(): void
    {
        $order = $this->order();
        $totals = [
            '19.90' => '19.90', '0.00' => null, '1234567.5' => '1234567.5', '-1.00' => null, '' => null,
            '999999999999.99' => '999999999999.99', '12345678.12345678' => '12345678.12345678', '0.00000001' => '0.00000001',
        ];
        foreach ($totals as $total => $expected) {
            $order->total = (string) $total;
            self::assertSame($expected, Orders::total($order));
        }
    }

    private function order(): \WC_Order
    {
        $order = new \WC_Order();
        $order->meta[Orders::UID] = 'pl_1';
        return \WC_Order::$all[12] = $order;
    }

    private function record(): Record
    {
        $record = new Record();
        [$record->amount, $record->currency, $record->uid, $record->company, $record->order] = ['19.90', 'EUR', 'pl_1', 'co_1', 12];
        return $record;
    }
}
