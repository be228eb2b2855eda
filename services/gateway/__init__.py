"""The gateway: REST and gRPC over one search core and one picture core."""
