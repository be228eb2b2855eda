"""A bucket that others put pictures into; it tells Kafka what comes and goes."""

from deploy.parts import Minio


def open_inbox(minio: Minio, bucket: str) -> None:
    """Make it, with notifications of every object made or removed."""
    client = minio.client()
    client.create_bucket(Bucket=bucket)
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    client.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": minio.arn, "Events": events}]},
    )
