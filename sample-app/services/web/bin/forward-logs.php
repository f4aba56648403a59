<?php

// Writes what is added to the files LOG_DIR/*.log to the output as JSON lines, until the file STOP_FILE appears.

declare(strict_types=1);

use Academy\Log\Forwarder;
use Academy\Log\Tail;

require __DIR__ . '/../src/autoload.php';

$stopFile = getenv('STOP_FILE') ?: sys_get_temp_dir() . '/stop';
$forwarder = new Forwarder(new Tail(getenv('LOG_DIR') ?: '/var/log/academy'));
do {
    clearstatcache();
    $stop = file_exists($stopFile); // Asked first: what was written before the stop is still sent.
    $count = $forwarder->forward(STDOUT);
    if ($count === 0 && !$stop) {
        usleep(250_000);
    }
} while (!$stop);
