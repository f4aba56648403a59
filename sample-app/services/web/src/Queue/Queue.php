<?php

declare(strict_types=1);

namespace Academy\Queue;

use Academy\Redis\Commands;
use Academy\Redis\ServerError;

/**
 * The queue of enrolments, a Redis stream. A job that was taken but not settled
 * (its worker died, or the grades service was away) is delivered again after a
 * while, so every job is handled at least once.
 */
final readonly class Queue
{
    private const STREAM = 'academy:enrolments';
    private const REJECTED = 'academy:enrolments:rejected';
    private const GROUP = 'workers';
    // One name for all workers: Redis keeps a record for each name, and pods come and go.
    private const CONSUMER = 'worker';
    private const KEEP_REJECTED = 1000;

    /** @param int $retryMilliseconds more than handling a job can take */
    public function __construct(private Commands $redis, private int $retryMilliseconds = 8000)
    {
    }

    public function push(Enrolment $enrolment): void
    {
        $this->redis->command(['XADD', self::STREAM, '*', 'enrolment', $enrolment->toJson()]);
    }

    /** The next job, after at most about $wait seconds, or null when there is none. */
    public function take(float $wait): ?Job
    {
        try {
            return $this->abandoned() ?? $this->fresh($wait);
        } catch (ServerError $error) {
            if ($error->kind() !== 'NOGROUP') {
                throw $error;
            }
        }
        $this->createGroup();

        return $this->fresh($wait);
    }

    /** The job is done, and leaves the queue. */
    public function done(Job $job): void
    {
        $this->redis->command(['XACK', self::STREAM, self::GROUP, $job->id]);
        $this->redis->command(['XDEL', self::STREAM, $job->id]);
    }

    /** The job can never be done. It goes to a list of its own, for a person to look at. */
    public function reject(Job $job, string $reason): void
    {
        $entry = json_encode(['job' => $job->payload, 'reason' => $reason], JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        $this->redis->command(['LPUSH', self::REJECTED, $entry]);
        $this->redis->command(['LTRIM', self::REJECTED, '0', (string) (self::KEEP_REJECTED - 1)]);
        $this->done($job);
    }

    /** How many jobs are waiting or being handled. */
    public function length(): int
    {
        return $this->redis->command(['XLEN', self::STREAM]);
    }

    private function abandoned(): ?Job
    {
        $reply = $this->redis->command(
            ['XAUTOCLAIM', self::STREAM, self::GROUP, self::CONSUMER, (string) $this->retryMilliseconds, '0', 'COUNT', '1'],
        );

        return self::first($reply[1]);
    }

    private function fresh(float $wait): ?Job
    {
        $block = (string) max(1, (int) ($wait * 1000)); // 0 would wait for ever.
        $reply = $this->redis->command(
            ['XREADGROUP', 'GROUP', self::GROUP, self::CONSUMER, 'COUNT', '1', 'BLOCK', $block, 'STREAMS', self::STREAM, '>'],
            $wait,
        );

        return $reply === null ? null : self::first($reply[0][1]);
    }

    private function createGroup(): void
    {
        try {
            // From 0: what was pushed before the first worker came counts as well.
            $this->redis->command(['XGROUP', 'CREATE', self::STREAM, self::GROUP, '0', 'MKSTREAM']);
        } catch (ServerError $error) {
            if ($error->kind() !== 'BUSYGROUP') { // Another worker was faster.
                throw $error;
            }
        }
    }

    /** @param list<array{string, list<string>}> $entries */
    private static function first(array $entries): ?Job
    {
        return $entries === [] ? null : new Job($entries[0][0], $entries[0][1][1]);
    }
}
