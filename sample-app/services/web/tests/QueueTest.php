<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Queue\Enrolment;
use Academy\Queue\Queue;

final class QueueTest extends TestCase
{
    private readonly FakeRedis $redis;
    private readonly Queue $queue;

    public function __construct()
    {
        $this->redis = new FakeRedis();
        $this->queue = new Queue($this->redis, retryMilliseconds: 8000);
    }

    public function testDeliversInOrderAndOnce(): void
    {
        $this->push('Ada');
        $this->push('Bob');
        $first = $this->queue->take(0.1);
        $second = $this->queue->take(0.1);
        $this->same('Ada', Enrolment::fromJson($first->payload)->student);
        $this->same('Bob', Enrolment::fromJson($second->payload)->student);
        $this->same(null, $this->queue->take(0.1), 'third job');
    }

    public function testWaitsForTheFirstEnrolmentEver(): void
    {
        $this->same(null, $this->queue->take(0.1));
        $this->push('Ada');
        $this->same('Ada', Enrolment::fromJson($this->queue->take(0.1)->payload)->student);
    }

    public function testAJobThatWasNotSettledComesAgain(): void
    {
        $this->push('Ada');
        $job = $this->queue->take(0.1);
        $this->redis->now += 7999;
        $this->same(null, $this->queue->take(0.1), 'too early');
        $this->redis->now += 1;
        $this->same($job->id, $this->queue->take(0.1)?->id, 'second delivery');
        $this->same(1, $this->queue->length());
    }

    public function testADoneJobIsGone(): void
    {
        $this->push('Ada');
        $this->queue->done($this->queue->take(0.1));
        $this->redis->now += 1_000_000;
        $this->same(null, $this->queue->take(0.1));
        $this->same(0, $this->queue->length());
    }

    public function testARejectedJobIsKeptAside(): void
    {
        $this->push('Ada');
        $this->queue->reject($this->queue->take(0.1), 'no such course');
        $this->same(0, $this->queue->length());
        $kept = json_decode($this->redis->lists['academy:enrolments:rejected'][0], true);
        $this->same('no such course', $kept['reason']);
        $this->contains('Ada', $kept['job']);
    }

    private function push(string $student): void
    {
        $this->queue->push(Enrolment::of($student, 'go-services'));
    }
}
