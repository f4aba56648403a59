<?php

declare(strict_types=1);

namespace Academy\Redis;

/** What the queue needs of Redis. */
interface Commands
{
    /**
     * Sends one command and returns its reply: a string, an int, null, or a list of these.
     *
     * @param list<string> $arguments
     * @param float        $wait      seconds that the command itself may block, beyond the usual timeout
     *
     * @throws ServerError    the server refused the command
     * @throws ConnectionLost there is no answer; whether the command ran is unknown
     */
    public function command(array $arguments, float $wait = 0.0): mixed;
}
