<?php

declare(strict_types=1);

namespace Academy\Redis;

/** The server cannot be reached, went away, or does not speak the protocol. */
final class ConnectionLost extends \RuntimeException
{
}
