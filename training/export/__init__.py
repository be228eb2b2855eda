"""From a model in torch to a registry entry that services run: ONNX towers, tokenizer, preprocessing, checksums.

`python -m training.export` is what `omma model export` starts; `python -m training.export.check` compares an entry
with torch on photographs.
"""
