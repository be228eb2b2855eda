#!/bin/sh
# Generates omma/v1 from proto/, with type stubs. `make lint` runs it and fails on a difference.
set -eu
cd "$(dirname "$0")"
python=../.venv/bin/python
out=${1:-..}
"$python" -m grpc_tools.protoc -I . --plugin=protoc-gen-mypy=../.venv/bin/protoc-gen-mypy \
    --plugin=protoc-gen-mypy_grpc=../.venv/bin/protoc-gen-mypy_grpc \
    --python_out="$out" --grpc_python_out="$out" --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" omma/v1/*.proto
