"""Somebody else's sign-in on this machine: a web server with its public keys, and tokens that it signs."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE: Final = "omma"
_ALGORITHMS: Final = {"RS256": RSAAlgorithm, "PS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class Issuer:
    """Publishes the keys of `published` at `/keys` and says so at its well-known address. asked: how often, by path."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.private: dict[str, tuple[str, Any]] = {}
        self.published: list[dict[str, Any]] = []
        self.status = 200
        self.content: bytes | None = None
        """Instead of its keys."""

    def rotate(self, kid: str, algorithm: str = "ES256", *, keep: bool = False, **members: Any) -> None:
        """Sign with a new key from now on. keep: publish the former ones as well. members: of the published key."""
        made: dict[str, Any] = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        key = made.get(algorithm, lambda: rsa.generate_private_key(65_537, members.pop("bits", 2048)))()
        public = json.loads(_ALGORITHMS[algorithm].to_jwk(key.public_key()))
        self.private[kid] = (algorithm, key)
        self.published = [*(self.published if keep else ()), {**public, "kid": kid, **members}]

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Those of a good token for ann; None takes one away."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ann@example", "tenant": "ann", "role": "write"}
        given = {**good, "iat": now, "exp": now + 600, **claims}
        return {name: value for name, value in given.items() if value is not None}

    def token(self, kid: str, **claims: Any) -> str:
        """Signed by that key."""
        algorithm, key = self.private[kid]
        return jwt.encode(self.claims(**claims), key, algorithm, headers={"kid": kid})


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Until the block ends."""
    said = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            said.asked[self.path] += 1
            document = {"issuer": said.url, "jwks_uri": f"{said.url}/keys"}
            if self.path == "/keys":
                document = {"keys": said.published}
            content = said.content or json.dumps(document).encode()
            self.send_response(said.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:
                return  # who asked has heard enough

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    said.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
