<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Http\Answer;
use Academy\Http\Transport;
use Academy\Http\Unreachable;
use Academy\Redis\Commands;
use Academy\Redis\ConnectionLost;
use Academy\Redis\ServerError;

/** Answers requests with what the test has put under "METHOD URL", and remembers them. */
final class FakeTransport implements Transport
{
    /** @var array<string, Answer> */
    public array $answers = [];

    /** @var list<array{request: string, body: ?array<string, mixed>, headers: array<string, string>}> */
    public array $requests = [];

    public function send(string $method, string $url, ?array $body = null, array $headers = []): Answer
    {
        $request = "{$method} {$url}";
        $this->requests[] = ['request' => $request, 'body' => $body, 'headers' => $headers];

        return $this->answers[$request] ?? throw new Unreachable("{$request}: connection refused");
    }

    /** @param array<string, mixed> $body */
    public function answer(string $request, array $body, int $status = 200): void
    {
        $this->answers[$request] = new Answer($status, json_encode($body));
    }
}

/** Behaves like Redis for the commands that the queue uses. Time passes when the test says so. */
final class FakeRedis implements Commands
{
    public bool $away = false;
    public int $now = 0;

    /** @var array<string, array<string, list<string>>> */
    public array $streams = [];

    /** @var array<string, list<string>> */
    public array $lists = [];

    /** @var array<string, array{last: int, pending: array<string, int>}> by stream and group */
    private array $groups = [];
    private int $counter = 0;

    public function command(array $arguments, float $wait = 0.0): mixed
    {
        if ($this->away) {
            throw new ConnectionLost('connection refused');
        }
        $name = array_shift($arguments);

        return match ($name) {
            'XADD' => $this->add($arguments[0], array_slice($arguments, 2)),
            'XLEN' => count($this->streams[$arguments[0]] ?? []),
            'XGROUP' => $this->createGroup($arguments[1], $arguments[2]),
            'XREADGROUP' => $this->read($arguments[8], $arguments[1]),
            'XAUTOCLAIM' => $this->claim($arguments[0], $arguments[1], (int) $arguments[3]),
            'XACK' => $this->acknowledge($arguments[0], $arguments[1], $arguments[2]),
            'XDEL' => $this->delete($arguments[0], $arguments[1]),
            'LPUSH' => $this->push($arguments[0], $arguments[1]),
            'LTRIM' => 'OK',
            default => throw new ServerError("ERR unknown command '{$name}'"),
        };
    }

    /** @param list<string> $fields */
    private function add(string $stream, array $fields): string
    {
        $id = ++$this->counter . '-0';
        $this->streams[$stream][$id] = $fields;

        return $id;
    }

    private function createGroup(string $stream, string $group): string
    {
        if (isset($this->groups["{$stream} {$group}"])) {
            throw new ServerError('BUSYGROUP Consumer Group name already exists');
        }
        $this->streams[$stream] ??= [];
        $this->groups["{$stream} {$group}"] = ['last' => 0, 'pending' => []];

        return 'OK';
    }

    /** @return list<mixed>|null */
    private function read(string $stream, string $group): ?array
    {
        $state = &$this->group($stream, $group);
        foreach ($this->streams[$stream] as $id => $fields) {
            if ((int) $id > $state['last']) {
                $state['last'] = (int) $id;
                $state['pending'][$id] = $this->now;

                return [[$stream, [[$id, $fields]]]];
            }
        }

        return null;
    }

    /** @return list<mixed> */
    private function claim(string $stream, string $group, int $idle): array
    {
        $state = &$this->group($stream, $group);
        foreach ($state['pending'] as $id => $since) {
            if ($this->now - $since >= $idle) {
                $state['pending'][$id] = $this->now;

                return ['0-0', [[$id, $this->streams[$stream][$id]]], []];
            }
        }

        return ['0-0', [], []];
    }

    private function push(string $list, string $value): int
    {
        $this->lists[$list] = [$value, ...($this->lists[$list] ?? [])];

        return count($this->lists[$list]);
    }

    private function acknowledge(string $stream, string $group, string $id): int
    {
        $state = &$this->group($stream, $group);
        $known = isset($state['pending'][$id]) ? 1 : 0;
        unset($state['pending'][$id]);

        return $known;
    }

    private function delete(string $stream, string $id): int
    {
        $known = isset($this->streams[$stream][$id]) ? 1 : 0;
        unset($this->streams[$stream][$id]);

        return $known;
    }

    /** @return array{last: int, pending: array<string, int>} */
    private function &group(string $stream, string $group): array
    {
        if (!isset($this->groups["{$stream} {$group}"])) {
            throw new ServerError("NOGROUP No such key '{$stream}' or consumer group '{$group}'");
        }

        return $this->groups["{$stream} {$group}"];
    }
}
