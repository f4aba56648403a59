<?php

// Hands enrolments from the queue to the grades service until the file STOP_FILE appears.

declare(strict_types=1);

use Academy\Http\CurlTransport;
use Academy\Log\Logger;
use Academy\Queue\Queue;
use Academy\Queue\Worker;
use Academy\Redis\Client;
use Academy\Service\Grades;
use Academy\Settings;

require __DIR__ . '/../src/autoload.php';

$log = new Logger('php://stdout', 'worker');
try {
    $settings = Settings::from(getenv());
} catch (RuntimeException $error) {
    $log->error($error->getMessage());
    exit(1);
}
$worker = new Worker(
    new Queue(new Client($settings->redisHost, $settings->redisPort)),
    new Grades(new CurlTransport(), $settings->gradesUrl, $settings->gradesToken),
    $log,
);
$stopFile = getenv('STOP_FILE') ?: sys_get_temp_dir() . '/stop';
$aliveFile = getenv('ALIVE_FILE') ?: sys_get_temp_dir() . '/alive';

$log->info('waiting for enrolments', ['version' => Settings::VERSION]);
$worker->run(
    static function () use ($stopFile): bool {
        clearstatcache();

        return file_exists($stopFile);
    },
    static fn () => touch($aliveFile),
);
$log->info('stopped');
