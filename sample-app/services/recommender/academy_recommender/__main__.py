"""Settings come from the environment: GRADES_URL, PORT (8080 unless given)."""

import json
import logging
import os
import signal
import sys
import threading
from datetime import datetime, timezone

from . import VERSION
from .grades import Grades
from .server import Server


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "msg": record.getMessage(),
            "service": "recommender",
            "version": VERSION,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def main() -> int:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])

    grades_url = os.environ.get("GRADES_URL")
    if not grades_url:
        logging.error("GRADES_URL is not set")
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    server = Server(("", int(os.environ.get("PORT", "8080"))), Grades(grades_url))
    logging.info("listening on port %d", server.server_port)
    server.run_until(stop)
    logging.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
