"""NGINX's configuration, of Compose and the chart, on this machine's nginx; without one the tests are skipped, or fail
with CI=true.
"""

import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.parts import PartMissing, Server
from deploy.parts.ports import free_port
from tests.conftest import ROOT
from tests.part_fixtures import skip_without

COMPOSE = ROOT / "deploy" / "compose"
CONFIGURATION = ROOT / "helm" / "omma" / "page" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def running_nginx(rest: str, rpc: str) -> Iterator[tuple[str, str, Path]]:
    """Before a gateway at rest, an URL, and at rpc, host:port; both faces' addresses and the certificate.

    The configuration is the repository's, with this machine's ports and paths instead of the containers'.
    """
    if NGINX is None:
        skip_without(PartMissing("nginx", "sudo apt-get install nginx-light"))
    server = Server("nginx")
    folder, host = server.folder, "127.0.0.1"
    try:
        subprocess.run([COMPOSE / "certificate", "omma.test", folder], check=True)
        rest_port, rpc_port = free_port(host), free_port(host)
        text = CONFIGURATION.read_text()
        for ours, here in {
            "listen 8443 ": f"listen {host}:{rest_port} ",
            "listen 9443 ": f"listen {host}:{rpc_port} ",
            "gateway:8080": urllib.parse.urlsplit(rest).netloc,
            "gateway:9090": rpc,
            "/tls/": f"{folder}/",
            "/tmp/nginx": f"{folder}/nginx",
        }.items():
            assert ours in text
            text = text.replace(ours, here)
        (folder / "nginx.conf").write_text(text)
        # As root its workers would be somebody else, who cannot enter our folder.
        own = "user root; " if os.geteuid() == 0 else ""
        server.start(
            [NGINX, "-p", folder, "-c", folder / "nginx.conf", "-g", f"{own}daemon off;"], (folder / "nginx.pid").exists
        )
        yield f"https://localhost:{rest_port}", f"localhost:{rpc_port}", folder / "certificate.pem"
    finally:
        server.close()
