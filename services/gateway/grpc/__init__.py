"""The gRPC face: translates, decides nothing."""
