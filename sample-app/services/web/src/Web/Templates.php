<?php

declare(strict_types=1);

namespace Academy\Web;

/**
 * Fills in the files of templates/. A template sees its variables and $e, which
 * makes a text safe for HTML; layout.php puts the page's frame around it.
 */
final readonly class Templates
{
    public function __construct(private string $folder)
    {
    }

    /** @param array<string, mixed> $variables */
    public function page(string $name, string $title, array $variables = []): string
    {
        return $this->fill('layout', ['title' => $title, 'content' => $this->fill($name, $variables)]);
    }

    /** @param array<string, mixed> $variables */
    private function fill(string $name, array $variables): string
    {
        $render = static function (string $__file, array $__variables): void {
            extract($__variables, EXTR_SKIP);
            $e = static fn (string|int|float $text): string => htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE);
            require $__file;
        };
        ob_start();
        try {
            $render("{$this->folder}/{$name}.php", $variables);
        } finally {
            $html = ob_get_clean();
        }

        return $html;
    }
}
