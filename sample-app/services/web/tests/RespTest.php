<?php

declare(strict_types=1);

namespace Academy\Tests;

use Academy\Redis\ConnectionLost;
use Academy\Redis\Resp;
use Academy\Redis\ServerError;

final class RespTest extends TestCase
{
    public function testEncodesLengthsInBytes(): void
    {
        $this->same("*2\r\n\$4\r\nECHO\r\n\$4\r\nZoë\r\n", Resp::encode(['ECHO', 'Zoë']));
        $this->same("*1\r\n\$0\r\n\r\n", Resp::encode(['']));
        $this->same("*1\r\n\$4\r\na\r\nb\r\n", Resp::encode(["a\r\nb"]));
    }

    public function testReadsEveryKindOfReply(): void
    {
        foreach ([
            ["+OK\r\n", 'OK'],
            ["+\r\n", ''],
            [":1042\r\n", 1042],
            [":-3\r\n", -3],
            ["\$5\r\nhello\r\n", 'hello'],
            ["\$0\r\n\r\n", ''],
            ["\$4\r\na\r\nb\r\n", "a\r\nb"],
            ["\$-1\r\n", null],
            ["*-1\r\n", null],
            ["*0\r\n", []],
            ["*3\r\n:1\r\n\$-1\r\n*2\r\n+a\r\n\$1\r\nb\r\n", [1, null, ['a', 'b']]],
        ] as [$bytes, $want]) {
            $this->same($want, Resp::read($this->stream($bytes)), json_encode($bytes));
        }
    }

    public function testReadsALongString(): void
    {
        $long = str_repeat('0123456789', 20_000);
        $this->same($long, Resp::read($this->stream('$' . strlen($long) . "\r\n{$long}\r\n")));
    }

    public function testReadsRepliesOneByOne(): void
    {
        $stream = $this->stream("+first\r\n+second\r\n");
        $this->same('first', Resp::read($stream));
        $this->same('second', Resp::read($stream));
    }

    public function testReturnsErrorsAlsoInsideLists(): void
    {
        $reply = Resp::read($this->stream("*2\r\n:1\r\n-NOGROUP No such key\r\n"));
        $this->same(1, $reply[0]);
        $this->same(ServerError::class, $reply[1]::class);
        $this->same('NOGROUP', $reply[1]->kind());
        $this->same('NOGROUP No such key', $reply[1]->getMessage());
    }

    public function testRefusesWhatIsNotAReply(): void
    {
        foreach ([
            'nothing' => '',
            'half a line' => '+O',
            'a line without CR' => "+OK\n",
            'another protocol' => "HTTP/1.1 400 Bad Request\r\n",
            'an empty line' => "\r\n",
            'half a string' => "\$5\r\nhel",
            'a string that is too long' => "\$2\r\nhello\r\n",
            'half a list' => "*2\r\n:1\r\n",
            'a length that is no number' => "\$five\r\nhello\r\n",
            'a negative length' => "\$-2\r\n",
            'a huge length' => "\$99999999999\r\n",
        ] as $what => $bytes) {
            $this->throws(ConnectionLost::class, fn () => Resp::read($this->stream($bytes)), '');
        }
    }

    /** @return resource */
    private function stream(string $bytes)
    {
        $stream = fopen('php://memory', 'r+');
        fwrite($stream, $bytes);
        rewind($stream);

        return $stream;
    }
}
