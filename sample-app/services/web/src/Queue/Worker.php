<?php

declare(strict_types=1);

namespace Academy\Queue;

use Academy\Log\Logger;
use Academy\Redis\ConnectionLost;
use Academy\Redis\ServerError;
use Academy\Service\Grades;
use Academy\Service\Rejected;
use Academy\Service\Unavailable;

/** Takes enrolments from the queue and hands them to the grades service, one at a time. */
final class Worker
{
    private const WAIT_SECONDS = 1.0;

    public function __construct(
        private readonly Queue $queue,
        private readonly Grades $grades,
        private readonly Logger $log,
    ) {
    }

    /**
     * Works until told to stop; a job that was begun is finished.
     *
     * @param \Closure(): bool $stop  asked before each job
     * @param \Closure(): void $alive called before each job, and at least every few seconds
     */
    public function run(\Closure $stop, \Closure $alive): void
    {
        while (!$stop()) {
            $alive();
            if (!$this->step(self::WAIT_SECONDS)) {
                sleep(1);
            }
        }
    }

    /** Handles at most one job. Returns false when something is missing that may come back. */
    public function step(float $wait): bool
    {
        try {
            $job = $this->queue->take($wait);

            return $job === null || $this->handle($job);
        } catch (ConnectionLost|ServerError $error) {
            $this->log->warning('the queue is not available', ['error' => $error->getMessage()]);

            return false;
        }
    }

    private function handle(Job $job): bool
    {
        try {
            $enrolment = Enrolment::fromJson($job->payload);
            $result = $this->grades->enrol($enrolment->student, $enrolment->course);
        } catch (\InvalidArgumentException|Rejected $error) {
            $this->log->error('enrolment rejected', ['job' => $job->id, 'payload' => $job->payload, 'reason' => $error->getMessage()]);
            $this->queue->reject($job, $error->getMessage());

            return true;
        } catch (Unavailable $error) {
            $this->log->warning('enrolment postponed', ['job' => $job->id, 'error' => $error->getMessage()]);

            return false;
        }
        $this->queue->done($job);
        $this->log->info('enrolled', [
            'job' => $job->id,
            'student' => $enrolment->student,
            'course' => $enrolment->course,
            'grade' => $result['grade'],
        ]);

        return true;
    }
}
