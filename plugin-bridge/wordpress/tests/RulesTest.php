<?php

declare(strict_types=1);

namespace Counterfoil\WordPress\Tests;

use Counterfoil\WordPress\Payments\Amount;
use Counterfoil\WordPress\Payments\Progress;
use Counterfoil\WordPress\Payments\Record;
use PHPUnit\Framework\TestCase;

/** Money and time: amounts to the digit, news in any order. */
final class RulesTest extends TestCase
{
    public function testAmountsThatAPersonMayWrite(): void
    {
        foreach (['19.90', '0.00000001', '1', '999999999999.99999999', ' 5 '] as $text) {
            self::assertSame(trim($text), Amount::parse($text), $text);
        }
        foreach (['', '0', '0.00', '-1', '+1', '1e3', '01', '.5', '5.', '1,50', '1 000', "1\n1", '1.123456789', '1000000000000'] as $text) {
            self::assertNull(Amount::parse($text), $text);
        }
    }

    public function testAmountsAreComparedToTheDigit(): void
    {
        $large = '12345678901234567890.10';
        foreach ([['19.90', '19.9'], ['5', '5.00'], [5, '5'], [19.9, '19.90'], [$large, $large . '0']] as [$one, $other]) {
            self::assertTrue(Amount::same($one, $other));
        }
        $different = [['19.90', '19.91'], [$large, '12345678901234567890.11'], ['', ''], [null, null], ['1e1', '10'], ['-5', '5']];
        foreach ($different as [$one, $other]) {
            self::assertFalse(Amount::same($one, $other));
        }
    }

    public function testWhichNewsCount(): void
    {
        [$early, $late] = ['2027-01-15T08:00:00Z', '2027-01-15T08:00:00.001Z'];
        $cases = [
            ['', '', 'quoted', $early, true],
            ['pending', $early, 'swapping', $late, true],
            ['swapping', $late, 'pending', $early, false],
            ['swapping', $early, 'sending', $early, true],
            ['sending', $early, 'swapping', $early, false],
            ['expired', $late, 'complete', $early, true],
            ['expired', $early, 'pending', $late, true],
            ['complete', $early, 'failed', $late, false],
            ['complete', $early, 'complete', $late, false],
            ['pending', $early, 'refunded', $late, false],
            ['pending', $early, '', $late, false],
            ['pending', $early, 'failed', 'tomorrow', false],
        ];
        foreach ($cases as [$now, $since, $news, $at, $expected]) {
            self::assertSame($expected, Progress::counts($now, $since, $news, $at), "$now then $news");
        }
    }

    public function testALinkThatIsNotTheOneThatWasAskedForPaysNothing(): void
    {
        $asked = ['amount' => '19.9', 'fiatCurrency' => 'eur', 'status' => 'active'];
        $others = [
            ['amount' => '0.01'], ['fiatCurrency' => 'USD'], ['amount' => null], ['fiatCurrency' => null],
            ['orderId' => '13'], ['merchantOrderId' => '13'], ['orderId' => 12],
        ];
        foreach ($others as $other) {
            $record = $this->record();
            self::assertTrue($record->learn($other + $asked, 'complete', '2027-01-15T08:00:00Z'));
            self::assertSame([true, '', false], [$record->mismatch, $record->status, $record->isOpen()]);
        }
        $record = $this->record();
        self::assertTrue($record->learn($asked, 'complete', '2027-01-15T08:00:00Z'));
        self::assertSame([false, 'complete', false], [$record->mismatch, $record->status, $record->isOpen()]);
        foreach (['orderId', 'merchantOrderId'] as $name) {
            self::assertTrue($record->matches([$name => '12'] + $asked), $name);
        }
        self::assertFalse($record->learn($asked, 'complete', '2027-01-15T08:00:01Z'));
    }

    public function testDeliveriesAreTakenOnce(): void
    {
        $record = $this->record();
        self::assertFalse($record->hasTaken('a'));
        self::assertTrue($record->hasTaken('a'));
        self::assertFalse($record->hasTaken(''));
        for ($i = 0; $i < 30; $i++) {
            self::assertFalse($record->hasTaken("d-$i"));
        }
        self::assertCount(20, $record->deliveries);
    }

    private function record(): Record
    {
        $record = new Record();
        [$record->amount, $record->currency, $record->uid, $record->id] = ['19.90', 'EUR', 'pl_1', 12];
        return $record;
    }
}
