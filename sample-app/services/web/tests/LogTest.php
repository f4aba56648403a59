<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Log\Forwarder;
use Academy\Log\Logger;
use Academy\Log\Tail;

final class LogTest extends TestCase
{
    public function testNewLinesOfEveryFileAreReadOnce(): void
    {
        $folder = $this->folder();
        $tail = new Tail($folder);
        $this->append("{$folder}/access.log", "one\ntwo\n");
        $this->append("{$folder}/other.txt", "not a log\n");
        $this->same(['access.log one', 'access.log two'], $this->lines($tail));
        $this->same([], $this->lines($tail));
        $this->append("{$folder}/access.log", "three\n");
        $this->append("{$folder}/app.log", "four\n");
        $this->same(['access.log three', 'app.log four'], $this->lines($tail));
    }

    public function testHalfALineWaitsForItsEnd(): void
    {
        $folder = $this->folder();
        $tail = new Tail($folder);
        $this->append("{$folder}/app.log", "whole\nha");
        $this->same(['app.log whole'], $this->lines($tail));
        $this->append("{$folder}/app.log", "lf\n");
        $this->same(['app.log half'], $this->lines($tail));
    }

    public function testAFileThatWasEmptiedIsReadFromItsStart(): void
    {
        $folder = $this->folder();
        $tail = new Tail($folder);
        $this->append("{$folder}/app.log", "a long first line\n");
        $this->lines($tail);
        file_put_contents("{$folder}/app.log", "new\n");
        $this->same(['app.log new'], $this->lines($tail));
    }

    public function testALargeFileIsEmptiedOnceItIsRead(): void
    {
        $folder = $this->folder();
        $tail = new Tail($folder, maxSize: 10);
        $this->append("{$folder}/app.log", "0123456789\n");
        $this->same(['app.log 0123456789'], $this->lines($tail));
        clearstatcache();
        $this->same(0, filesize("{$folder}/app.log"), 'size');
        $this->append("{$folder}/app.log", "next\n");
        $this->same(['app.log next'], $this->lines($tail));
    }

    public function testLinesBecomeJson(): void
    {
        $this->same('{"file":"app.log","level":"INFO","msg":"hi"}', Forwarder::entry('app.log', '{"level":"INFO","msg":"hi"}'));
        $this->same('{"file":"app.log","msg":"plain \"text\""}', Forwarder::entry('app.log', 'plain "text"'));
        $this->same('{"file":"app.log","msg":"[1,2]"}', Forwarder::entry('app.log', '[1,2]'));
        $this->contains('"msg":"bad ', Forwarder::entry('app.log', "bad \xff byte"));
    }

    public function testLoggerAndForwarderFitTogether(): void
    {
        $folder = $this->folder();
        (new Logger("{$folder}/app.log", 'app'))->warning('two' . "\n" . 'lines', ['student' => 'Zoë']);
        $output = fopen('php://memory', 'r+');
        $this->same(1, (new Forwarder(new Tail($folder)))->forward($output));
        rewind($output);
        $entry = json_decode(stream_get_contents($output), true);
        $this->same(['app.log', 'WARN', "two\nlines", 'Zoë'], [$entry['file'], $entry['level'], $entry['msg'], $entry['student']]);
    }

    private function append(string $path, string $text): void
    {
        file_put_contents($path, $text, FILE_APPEND);
    }

    /** @return list<string> */
    private function lines(Tail $tail): array
    {
        $lines = [];
        foreach ($tail->lines() as $file => $line) {
            $lines[] = "{$file} {$line}";
        }

        return $lines;
    }
}
