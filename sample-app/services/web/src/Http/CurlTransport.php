<?php

declare(strict_types=1);

namespace Academy\Http;

final class CurlTransport implements Transport
{
    private readonly \CurlHandle $curl;

    public function __construct(
        private readonly int $connectMilliseconds = 1000,
        private readonly int $totalMilliseconds = 3000,
    ) {
        $this->curl = curl_init();
    }

    public function send(string $method, string $url, ?array $body = null, array $headers = []): Answer
    {
        curl_reset($this->curl);
        if ($body !== null) {
            $headers['Content-Type'] = 'application/json';
            curl_setopt($this->curl, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR));
        }
        $lines = [];
        foreach ($headers as $name => $value) {
            $lines[] = "{$name}: {$value}";
        }
        curl_setopt_array($this->curl, [
            CURLOPT_URL => $url,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_HTTPHEADER => $lines,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_CONNECTTIMEOUT_MS => $this->connectMilliseconds,
            CURLOPT_TIMEOUT_MS => $this->totalMilliseconds,
            CURLOPT_PROTOCOLS => CURLPROTO_HTTP | CURLPROTO_HTTPS,
            CURLOPT_PROXY => '',
        ]);
        $text = curl_exec($this->curl);
        if ($text === false && curl_errno($this->curl) === CURLE_COULDNT_CONNECT) {
            // Nothing was sent, so a second try is safe; it may reach another pod of the service.
            $text = curl_exec($this->curl);
        }
        if ($text === false) {
            throw new Unreachable("{$method} {$url}: " . curl_error($this->curl));
        }

        return new Answer(curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE), $text);
    }
}
