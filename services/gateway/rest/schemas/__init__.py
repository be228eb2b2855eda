"""What /openapi.json says beyond the paths: bodies, answers, examples. The bodies themselves are read by `body`."""
