"""Trains, exports and evaluates models. No service imports it: what it leaves is a registry entry."""
