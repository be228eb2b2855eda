"""What other services know of EGS: the interface, the embedder that asks one over gRPC, and what stands for none."""

from services.egs.client.interface import EmbeddedItem, Embedder, ImageItem, TextItem, Urgency
from services.egs.client.modelless import Modelless
from services.egs.client.remote import RemoteEmbedder

__all__ = ["EmbeddedItem", "Embedder", "ImageItem", "Modelless", "RemoteEmbedder", "TextItem", "Urgency"]
