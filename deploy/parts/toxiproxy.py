"""Toxiproxy, which makes a network slow or split, from its Go module. OMMA_TEST_TOXIPROXY=http://… uses another one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.parts.cache import go_program
from deploy.parts.http import ask, get_ok
from deploy.parts.missing import PartMissing
from deploy.parts.ports import free_port
from deploy.parts.server import Server

VERSION: Final = "v2.12.0"


@dataclass(frozen=True)
class Proxy:
    """A way to an upstream that can be disturbed. address: host:port to connect to."""

    address: str
    url: str

    def delay(self, milliseconds: int) -> None:
        """Every answer comes so much later."""
        self._add("latency", {"latency": milliseconds})

    def partition(self) -> None:
        """Connections stay open and nothing passes, in either direction, as when packets are lost."""
        self._add("timeout", {"timeout": 0})
        self._add("timeout", {"timeout": 0}, stream="upstream")

    def refuse(self) -> None:
        """Connections are cut, and new ones refused."""
        ask("POST", self.url, {"enabled": False})

    def heal(self) -> None:
        """Undo all of it."""
        for toxic in ask("GET", f"{self.url}/toxics"):
            ask("DELETE", f"{self.url}/toxics/{toxic['name']}")
        ask("POST", self.url, {"enabled": True})

    def remove(self) -> None:
        ask("DELETE", self.url)

    def _add(self, kind: str, attributes: dict[str, int], stream: str = "downstream") -> None:
        ask("POST", f"{self.url}/toxics", {"type": kind, "stream": stream, "attributes": attributes})


@dataclass(frozen=True)
class Toxiproxy:
    """url: of its API."""

    url: str
    host: str
    own: Server | None

    def environment(self) -> dict[str, str]:
        """What points other tests at it."""
        return {"OMMA_TEST_TOXIPROXY": self.url}

    def proxy(self, name: str, upstream: str) -> Proxy:
        """upstream: host:port."""
        asked = {"name": name, "listen": f"{self.host}:{free_port(self.host)}", "upstream": upstream}
        made = ask("POST", f"{self.url}/proxies", asked)
        return Proxy(made["listen"], f"{self.url}/proxies/{name}")

    @property
    def server(self) -> Server:
        if self.own is None:
            raise PartMissing("toxiproxy", "the one in OMMA_TEST_TOXIPROXY cannot be stopped from here; unset it")
        return self.own


@contextmanager
def toxiproxy(host: str = "127.0.0.1") -> Iterator[Toxiproxy]:
    """host: where its proxies listen too."""
    given = os.environ.get("OMMA_TEST_TOXIPROXY")
    if given:
        yield Toxiproxy(given, host, None)
        return
    program = install_toxiproxy()
    server = Server("toxiproxy")
    try:
        port = free_port(host)
        url = f"http://{host}:{port}"
        server.start([program, "-host", host, "-port", str(port)], lambda: get_ok(f"{url}/version"))
        yield Toxiproxy(url, host, server)
    finally:
        server.close()


def install_toxiproxy() -> Path:
    """Its program, built once. Raises PartMissing."""
    return go_program("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", VERSION)
