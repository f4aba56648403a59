<?php

// Every request that is not for a static file comes here.

declare(strict_types=1);

use Academy\Http\CurlTransport;
use Academy\Log\Logger;
use Academy\Queue\Queue;
use Academy\Redis\Client;
use Academy\Service\Grades;
use Academy\Service\Recommender;
use Academy\Settings;
use Academy\Web\App;
use Academy\Web\Request;
use Academy\Web\Response;
use Academy\Web\Templates;

require __DIR__ . '/../src/autoload.php';

$log = new Logger((getenv('LOG_DIR') ?: '/var/log/academy') . '/app.log', 'app');
try {
    $settings = Settings::from(getenv());
    $transport = new CurlTransport();
    $app = new App(
        new Grades($transport, $settings->gradesUrl, $settings->gradesToken),
        new Recommender($transport, $settings->recommenderUrl),
        new Queue(new Client($settings->redisHost, $settings->redisPort)),
        new Templates(__DIR__ . '/../templates'),
        $log,
    );
    $response = $app->handle(Request::current());
} catch (Throwable $error) {
    $log->error('unexpected error', ['error' => (string) $error]);
    $response = Response::text("Something went wrong. The log says what.\n", 500);
}
$response->send();
