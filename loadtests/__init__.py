"""Measures, a command each; see loadtests/README.md. Nothing here is imported by the product."""
