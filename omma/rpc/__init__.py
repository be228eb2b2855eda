"""gRPC plumbing: channels, servers, deadlines, health."""
