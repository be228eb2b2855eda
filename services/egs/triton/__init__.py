"""Towers on Triton Inference Server: the model repository it serves, and the client that asks it over gRPC.

A Triton model is named after the space, `<space>-image` and `<space>-text`, and a space's id holds the signature of
what decides a vector: an answer under that name is of that entry, also after Triton was restarted with others.
"""
