"""What a rollout needs done while nobody watches: building is told apart from built, and measured."""
