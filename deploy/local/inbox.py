"""A bucket that others put pictures into; it tells Kafka what comes and goes."""

import boto3

from tests.parts import Minio


def open_inbox(minio: Minio, bucket: str) -> None:
    """Make it, with notifications of every object made or removed."""
    client = boto3.client(
        "s3",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.access_key,
        aws_secret_access_key=minio.secret_key,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=bucket)
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    client.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": minio.arn, "Events": events}]},
    )
