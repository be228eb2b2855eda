"""Values that are wrong: a message that names them, before anything changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import CHART, EVERYTHING, KUBERNETES, PLACES, VALUES_FILES, Chart, Refused

MAIN = EVERYTHING["indexes"][0]
NEXT = EVERYTHING["indexes"][1]


def changed(index: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    return {**PLACES, "indexes": [{**index, **values}]}


WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "unknown value": ({**PLACES, "gatway": {}}, "gatway"),
    "unknown value inside": ({**PLACES, "gateway": {"replica": 2}}, "replica"),
    "unknown value of an index": (changed(MAIN, shard=2), "shard"),
    "no index": ({**PLACES, "indexes": []}, "indexes"),
    "no shards": (changed(MAIN, shards=0), "shards"),
    "more shards than buckets": (changed(MAIN, shards=257), "shards"),
    "a part of a shard": (changed(MAIN, shards=1.5), "shards"),
    "no replicas": (changed(MAIN, replicas=0), "replicas"),
    "a name that Kubernetes would not take": (changed(MAIN, name="Main_1"), "name"),
    "two of one name": ({**PLACES, "indexes": [MAIN, {**NEXT, "name": MAIN["name"]}]}, 'two are called "main"'),
    "two models, one name": (
        {**PLACES, "indexes": [{**MAIN, "model": "m@1.0"}, {**NEXT, "model": "m@1-0"}]},
        'would share the name "m-1-0"',
    ),
    "a factory that is none": (changed(MAIN, factory="HNSW32"), "factory"),
    "a factory of two minds": (changed(MAIN, factory="OPQ32_256,IVF{nlist},PQ64x8"), "other blocks in OPQ than in PQ"),
    "a GPU for codes of four bits": (changed(MAIN, gpu=1, factory="IVF{nlist},PQ128x4fs"), "which no GPU takes"),
    "no memory limit": (changed(MAIN, resources={"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {}}), "memory"),
    "no size of disks": (changed(MAIN, storage={}), "size"),
    "the latest image": ({**PLACES, "image": {"tag": "latest"}}, "tag"),
    "no database": ({**PLACES, "postgres": {}}, "postgres.existingSecret"),
    "a database that is none": ({**PLACES, "postgres": {"url": "mysql://x/y"}}, "url"),
    "two databases": (
        {**PLACES, "postgres": {"url": "postgresql://u:p@h/d", "existingSecret": "database"}},
        "unset one",
    ),
    "no brokers": ({**PLACES, "kafka": {}}, "kafka.brokers"),
    "brokers without a port": ({**PLACES, "kafka": {"brokers": "kafka"}}, "brokers"),
    "no bucket": ({**PLACES, "s3": {}}, "s3.bucket"),
    "SASL without a password": (
        {**PLACES, "kafka": {"brokers": "kafka:9092", "securityProtocol": "SASL_SSL"}},
        "kafka.existingSecret",
    ),
    "TLS without files": ({**PLACES, "tls": {"enabled": True}}, "tls.existingSecret"),
    "certificates from two places": (
        {**PLACES, "tls": {"enabled": True, "existingSecret": "tls", "certManager": {"enabled": True}}},
        "unset one",
    ),
    "a Triton that nobody would ask": ({**PLACES, "triton": {"url": "triton:8001"}}, "triton.enabled"),
    "an issuer without a name": (
        {**PLACES, "tls": {"enabled": True, "certManager": {"enabled": True}}},
        "tls.certManager.issuer.name",
    ),
    "a page without a certificate": ({**PLACES, "page": {"nginx": {"enabled": True}}}, "page.nginx.tlsSecret"),
    "fewest above most": (
        {**PLACES, "egs": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 3}}},
        "egs.autoscaling: minReplicas",
    ),
    "a queue that nobody can be asked about": (
        {**PLACES, "egs": {"autoscaling": {"enabled": True, "targetQueueItems": 8}}},
        "monitoring.prometheusAddress",
    ),
    "a lag of no group": (
        {**PLACES, "indexer": {"autoscaling": {"enabled": True, "targetLag": 8}}},
        "indexer.autoscaling.consumerGroup",
    ),
    "a setting that is none": ({**PLACES, "settings": {"KAFKA_BROKERS": "x"}}, "KAFKA_BROKERS"),
    "a route to no Gateway": ({**PLACES, "gateway": {"route": {"enabled": True}}}, "gateway.route.parentRefs"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, chart: Chart, tmp_path: Path) -> None:
    values, named = WRONG[case]
    with pytest.raises(Refused) as refused:
        chart.render(values, tmp_path)
    assert named in refused.value.said


LONG = "a-release-with-quite-a-long-name-for-it"


def test_a_release_whose_names_are_too_long_is_refused(chart: Chart) -> None:
    with pytest.raises(Refused) as refused:
        chart.ask("template", LONG, str(CHART), "--kube-version", KUBERNETES, "-f", str(VALUES_FILES[0]))
    assert "52 characters" in refused.value.said


@pytest.mark.parametrize("file", VALUES_FILES, ids=lambda file: file.name)
def test_each_values_file_passes_a_strict_lint(file: Path, chart: Chart, tmp_path: Path) -> None:
    places = tmp_path / "places.yaml"
    places.write_text(yaml.safe_dump(dict(PLACES)))
    chart.ask("lint", "--strict", "--kube-version", KUBERNETES, str(CHART), "-f", str(file), "-f", str(places))
