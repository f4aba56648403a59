<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Log\Logger;
use Academy\Queue\Enrolment;
use Academy\Queue\Queue;
use Academy\Queue\Worker;
use Academy\Service\Grades;

final class WorkerTest extends TestCase
{
    private const ENROL = 'POST http://grades/v1/enrolments';

    private readonly FakeRedis $redis;
    private readonly FakeTransport $transport;
    private readonly Queue $queue;
    private readonly Worker $worker;
    private readonly string $logFile;

    public function __construct()
    {
        $this->redis = new FakeRedis();
        $this->transport = new FakeTransport();
        $this->queue = new Queue($this->redis, retryMilliseconds: 8000);
        $this->logFile = $this->folder() . '/worker.log';
        $this->worker = new Worker(
            $this->queue,
            new Grades($this->transport, 'http://grades', 'secret'),
            new Logger($this->logFile, 'worker'),
        );
    }

    public function testHandsTheEnrolmentToTheGradesService(): void
    {
        $this->transport->answer(self::ENROL, ['grade' => 'B'], 201);
        $this->push();
        $this->same(true, $this->worker->step(0.1));
        $sent = $this->transport->requests[0];
        $this->same(['student' => 'Ada', 'course' => 'go-services'], $sent['body']);
        $this->same('Bearer secret', $sent['headers']['Authorization']);
        $this->same(0, $this->queue->length());
        $this->contains('"grade":"B"', file_get_contents($this->logFile));
    }

    public function testPostponesWhileTheGradesServiceIsAway(): void
    {
        $this->push();
        $this->same(false, $this->worker->step(0.1), 'with nobody there');
        $this->transport->answer(self::ENROL, ['error' => 'no database'], 503);
        $this->redis->now += 8000;
        $this->same(false, $this->worker->step(0.1), 'without its database');
        $this->transport->answer(self::ENROL, ['error' => 'wrong token'], 401);
        $this->redis->now += 8000;
        $this->same(false, $this->worker->step(0.1), 'with a wrong token');
        $this->same(1, $this->queue->length());

        $this->transport->answer(self::ENROL, ['grade' => 'A'], 201);
        $this->redis->now += 8000;
        $this->same(true, $this->worker->step(0.1), 'at last');
        $this->same(0, $this->queue->length());
    }

    public function testRejectsWhatCanNeverSucceed(): void
    {
        $this->transport->answer(self::ENROL, ['error' => 'no such course'], 422);
        $this->push();
        $this->same(true, $this->worker->step(0.1));
        $this->same(0, $this->queue->length());
        $this->contains('no such course', $this->redis->lists['academy:enrolments:rejected'][0]);
    }

    public function testRejectsWhatIsNotAnEnrolment(): void
    {
        $this->redis->command(['XADD', 'academy:enrolments', '*', 'enrolment', 'rubbish']);
        $this->same(true, $this->worker->step(0.1));
        $this->same(0, $this->queue->length());
        $this->same([], $this->transport->requests);
    }

    public function testSurvivesWithoutRedis(): void
    {
        $this->redis->away = true;
        $this->same(false, $this->worker->step(0.1));
        $this->contains('the queue is not available', file_get_contents($this->logFile));
    }

    public function testStopsWhenTold(): void
    {
        $this->transport->answer(self::ENROL, ['grade' => 'B'], 201);
        $this->push();
        $this->push();
        $asked = $alive = 0;
        $this->worker->run(
            static function () use (&$asked): bool {
                return ++$asked > 1;
            },
            static function () use (&$alive): void {
                ++$alive;
            },
        );
        $this->same(1, $alive);
        $this->same(1, $this->queue->length(), 'the second job stays');
    }

    private function push(): void
    {
        $this->queue->push(Enrolment::of('Ada', 'go-services'));
    }
}
