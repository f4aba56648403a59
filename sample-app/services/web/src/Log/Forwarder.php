<?php

declare(strict_types=1);

namespace Academy\Log;

/** Makes every line of the followed files one JSON object that says which file it is from. */
final readonly class Forwarder
{
    public function __construct(private Tail $tail)
    {
    }

    /**
     * Writes what has been added since the last call, and returns how many lines that was.
     *
     * @param resource $output
     */
    public function forward($output): int
    {
        $count = 0;
        foreach ($this->tail->lines() as $file => $line) {
            if ($line !== '') {
                fwrite($output, self::entry($file, $line) . "\n");
                ++$count;
            }
        }

        return $count;
    }

    public static function entry(string $file, string $line): string
    {
        $fields = json_decode($line, true);
        if (!is_array($fields) || array_is_list($fields)) {
            $fields = ['msg' => $line];
        }

        return json_encode(
            ['file' => $file] + $fields,
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR,
        );
    }
}
