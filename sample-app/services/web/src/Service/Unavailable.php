<?php

declare(strict_types=1);

namespace Academy\Service;

/** A service gave no usable answer. Later it may. */
final class Unavailable extends \RuntimeException
{
}
