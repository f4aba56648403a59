<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Settings;

final class SettingsTest extends TestCase
{
    private const ENVIRONMENT = [
        'REDIS_ADDRESS' => 'redis:6380',
        'GRADES_URL' => 'http://grades:8080/',
        'GRADES_TOKEN' => 'secret',
        'RECOMMENDER_URL' => 'http://recommender:8080',
    ];

    public function testReadsTheEnvironment(): void
    {
        $settings = Settings::from(self::ENVIRONMENT);
        $this->same(['redis', 6380, 'http://grades:8080'], [$settings->redisHost, $settings->redisPort, $settings->gradesUrl]);
        $this->same(6379, Settings::from(['REDIS_ADDRESS' => 'redis'] + self::ENVIRONMENT)->redisPort, 'port by default');
    }

    public function testNamesEverythingThatIsMissing(): void
    {
        $this->throws(
            \RuntimeException::class,
            static fn () => Settings::from(['GRADES_TOKEN' => ''] + array_diff_key(self::ENVIRONMENT, ['GRADES_URL' => 0])),
            'GRADES_URL, GRADES_TOKEN',
        );
    }
}
