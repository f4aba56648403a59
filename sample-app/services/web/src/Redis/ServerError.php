<?php

declare(strict_types=1);

namespace Academy\Redis;

/** An error reply, such as "NOGROUP No such consumer group". */
final class ServerError extends \RuntimeException
{
    /** The reply's first word, by which Redis tells kinds of errors apart. */
    public function kind(): string
    {
        return explode(' ', $this->getMessage(), 2)[0];
    }
}
