<?php

declare(strict_types=1);

namespace Academy\Service;

/** A service understood the request and refused it. Trying again changes nothing. */
final class Rejected extends \RuntimeException
{
}
