<?php

declare(strict_types=1);

namespace Academy\Http;

/** A request got no answer. */
final class Unreachable extends \RuntimeException
{
}
