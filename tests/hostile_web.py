"""A web server of this machine whose pictures mostly come, and of which some fail in every way there is."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

JPEG: Final = b"\xff\xd8\xff\xe0"
KINDS: Final = ("fail", "hang", "inside", "lie", "endless")
NAMED: Final = {
    "fail": "http_500",
    "hang": "too_slow",
    "inside": "private_address",
    "lie": "no_picture",
    "endless": "too_large",
}
"""What an ingest calls each kind of failure."""


class HostileWeb:
    """Answers by the first part of the path: `/good/7`, `/hang/7`. asked, served: how often, by path."""

    def __init__(self, picture: Callable[[int], bytes]) -> None:
        self.picture = picture
        self.asked: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.sha256s: dict[str, str] = {}
        self.url = ""
        self.released = threading.Event()
        """Set at the end: those that hang go."""
        self.lock = threading.Lock()


@contextmanager
def hostile_web(picture: Callable[[int], bytes], host: str = "127.0.0.1") -> Iterator[HostileWeb]:
    """Until the block ends. picture: the bytes of number n. host: an address of this machine."""
    web = HostileWeb(picture)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            with web.lock:
                web.asked[self.path] += 1
            try:
                _answer(self, web)
            except OSError:
                return  # the client went

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    web.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, web: HostileWeb) -> None:
    _, kind, number = request.path.split("/")
    match kind:
        case "good":
            content = web.picture(int(number))
            _send(request, "image/jpeg", content)
            with web.lock:
                web.served[request.path] += 1
                web.sha256s[request.path] = hashlib.sha256(content).hexdigest()
        case "hang":
            web.released.wait(600)
        case "inside":
            request.send_response(302)
            request.send_header("location", "http://169.254.169.254/latest/meta-data")
            request.end_headers()
        case "lie":
            _send(request, "image/jpeg", b"<html>" + b"no picture " * 10_000)
        case "endless":
            request.send_response(200)
            request.send_header("content-type", "image/jpeg")
            request.end_headers()
            request.wfile.write(JPEG)
            while not web.released.is_set():
                request.wfile.write(bytes(1 << 16))
        case _:
            request.send_error(500)


def _send(request: BaseHTTPRequestHandler, media_type: str, content: bytes) -> None:
    request.send_response(200)
    request.send_header("content-type", media_type)
    request.send_header("content-length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
