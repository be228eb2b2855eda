"""Erased pictures leave every place where Omma had them."""
