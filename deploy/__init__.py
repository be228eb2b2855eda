"""Ways to run Omma as a cluster: on this machine from real parts, with Docker Compose."""
