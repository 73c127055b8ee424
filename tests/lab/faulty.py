"""A mirror in front of the lab's. It serves the same files, some of them with faults."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from provision.lab import mirror
from provision.lab.store import GATEWAY, MIRROR

FAULTS = ("truncated", "altered", "silent")


class _Handler(BaseHTTPRequestHandler):
    #: the fault, and the files that have it (the end of their names)
    fault = ""
    suffix = ""
    gone: threading.Event

    def do_GET(self) -> None:
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{MIRROR}{self.path}", timeout=30) as reply:
                body: bytes = reply.read()
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
            return
        fault = self.fault if self.path.endswith(self.suffix) else ""
        if fault == "silent":
            self.gone.wait(60)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "truncated":
            body = body[: len(body) // 2]
        if fault == "altered":
            body = body[:-100] + bytes(byte ^ 1 for byte in body[-100:])
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the host's own report counts."""


@contextmanager
def serving(fault: str, suffix: str) -> Iterator[str]:
    """The URL of such a mirror of docker-ce. Files that end with ``suffix`` are ``truncated`` (half of them, and the
    connection ends), ``altered`` (with the right length) or ``silent`` (no data is ever sent)."""
    gone = threading.Event()
    handler = type("Handler", (_Handler,), {"fault": fault, "suffix": suffix, "gone": gone})
    server = ThreadingHTTPServer((GATEWAY, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mirror.URL.replace(MIRROR, f"{GATEWAY}:{server.server_address[1]}")
    finally:
        gone.set()
        server.shutdown()
        server.server_close()
        thread.join()
