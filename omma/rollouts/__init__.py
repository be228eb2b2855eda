"""Rollouts: how another index comes to answer, a step at a time, and goes back. Pure; the catalog keeps the states."""
