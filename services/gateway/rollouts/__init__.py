"""What administrators ask of rollouts and experiments, and what they are told of indexes."""
