"""Pictures: safe decoding, orientation, crops, pHash, thumbnails."""
