"""A pod that is none of the release's and asks it by both faces, as an application in the cluster does."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster import Namespace

_NAME = "caller"
_SEARCH = """
import base64, json, sys
import grpc, httpx
from omma.v1 import search_pb2, search_pb2_grpc

given = json.load(sys.stdin)
picture, key = base64.b64decode(given["image"]), f"Bearer {given['key']}"
said = {"k": 3, "timeout_ms": 20_000}
url, headers = "http://r-omma-gateway:8080/search", {"Authorization": key}
rest = httpx.post(url, files={"image": picture}, data=said, headers=headers, timeout=30).raise_for_status().json()
read = lambda name: open(f"/tls/{name}", "rb").read()
credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("tls.key"), read("tls.crt"))
with grpc.secure_channel("r-omma-gateway:9090", credentials) as channel:
    request = search_pb2.SearchRequest(queries=[search_pb2.SearchQuery(image=picture)], **said)
    search = search_pb2_grpc.SearchServiceStub(channel).Search
    rpc = search(request, timeout=30, metadata=(("authorization", key),))
print(json.dumps({"rest": [str(one["id"]) for one in rest["results"]], "grpc": [str(one.id) for one in rpc.results]}))
"""


def pod(image: str) -> dict[str, Any]:
    """With the Secret `tls`, to be waited for."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _NAME},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "caller",
                    "image": image,
                    "command": ["sleep", "600"],
                    "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
                }
            ],
            "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
        },
    }


def asked_inside(namespace: Namespace, image: str, key: str, picture: Path) -> dict[str, list[str]]:
    """The ids that REST and mutual TLS over gRPC answer, by face. Raises Failed."""
    namespace.apply(pod(image))
    try:
        namespace.kubectl("wait", "--for=condition=Ready", f"pod/{_NAME}", "--timeout=180s")
        given = json.dumps({"image": base64.b64encode(picture.read_bytes()).decode(), "key": key})
        said = namespace.kubectl("exec", "-i", _NAME, "--", "python", "-c", _SEARCH, given=given)
    finally:
        namespace.kubectl("delete", "pod", _NAME, "--wait=false")
    answers: dict[str, list[str]] = json.loads(said)
    return answers
