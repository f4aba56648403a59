<?php

declare(strict_types=1);

namespace Academy\Queue;

/** One delivery from the queue: what it says, and the id to settle it by. */
final readonly class Job
{
    public function __construct(public string $id, public string $payload)
    {
    }
}
