<?php

// Runs the public methods test…() of every class in *Test.php, each on an object
// of its own, and exits with 1 when one fails. Usage: php tests/run.php [PART-OF-NAME]

declare(strict_types=1);

namespace Academy\Tests;

require __DIR__ . '/../src/autoload.php';
require __DIR__ . '/TestCase.php';
require __DIR__ . '/fakes.php';

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    if ((error_reporting() & $level) === 0) {
        return false; // Silenced by @.
    }
    throw new \ErrorException($message, 0, $level, $file, $line);
});

$filter = $argv[1] ?? '';
$passed = $failed = 0;
foreach (glob(__DIR__ . '/*Test.php') as $file) {
    require $file;
    $class = __NAMESPACE__ . '\\' . basename($file, '.php');
    foreach (get_class_methods($class) as $method) {
        $name = basename($file, '.php') . '::' . $method;
        if (!str_starts_with($method, 'test') || ($filter !== '' && !str_contains($name, $filter))) {
            continue;
        }
        $test = new $class();
        try {
            $test->{$method}();
            ++$passed;
        } catch (\Throwable $error) {
            ++$failed;
            $at = $error;
            echo "FAIL {$name}\n     ", str_replace("\n", "\n     ", $at->getMessage()), "\n";
            foreach ($at->getTrace() as $frame) {
                if (isset($frame['file']) && !str_ends_with($frame['file'], '/TestCase.php') && $frame['file'] !== __FILE__) {
                    echo "     at ", basename($frame['file']), ':', $frame['line'], "\n";
                }
            }
        } finally {
            $test->tearDown();
        }
    }
}
echo "{$passed} passed, {$failed} failed\n";
exit($failed > 0 || $passed === 0 ? 1 : 0);
