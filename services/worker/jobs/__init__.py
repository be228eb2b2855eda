"""Runs the catalog's jobs: one runner a process, one way to do each kind of job."""
