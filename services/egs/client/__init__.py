"""What other services know of EGS: the interface, and the embedder that asks one over gRPC."""

from services.egs.client.interface import EmbeddedItem, Embedder, ImageItem, TextItem
from services.egs.client.remote import RemoteEmbedder

__all__ = ["EmbeddedItem", "Embedder", "ImageItem", "RemoteEmbedder", "TextItem"]
