# Triton for CPUs, where NVIDIA's registry cannot be reached: the server of the wheel nvidia-pytriton, which has the
# Python backend only, and ONNX Runtime of Omma's image. For `triton.platform: python`; tests/kubernetes runs it.
ARG OMMA_IMAGE=omma:0.1.0
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS server
RUN pip install -q --no-cache-dir --disable-pip-version-check --no-deps --no-compile --target /opt/wheel nvidia-pytriton==0.7.0 \
    && mkdir -p /opt/triton/bin \
    && mv /opt/wheel/pytriton/tritonserver/backends /opt/triton/ \
    && mv /opt/wheel/pytriton/tritonserver/python_backend_stubs/3.11/triton_python_backend_stub /opt/triton/backends/python/ \
    && mv /opt/wheel/pytriton/tritonserver/bin/tritonserver /opt/triton/bin/ \
    && mv /opt/wheel/nvidia_pytriton.libs /opt/triton/lib \
    && chmod 755 /opt/triton/bin/tritonserver /opt/triton/backends/python/triton_python_backend_stub

FROM ${OMMA_IMAGE}
USER root
# Of Debian's Python 3.11, which the backend's stub embeds.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libpython3.11 > /dev/null \
    && rm -rf /var/lib/apt/lists/*
COPY --from=server /opt/triton /opt/triton
RUN printf '#!/bin/sh\nexec /opt/triton/bin/tritonserver --backend-directory=/opt/triton/backends "$@"\n' > /usr/local/bin/tritonserver \
    && chmod 755 /usr/local/bin/tritonserver
ENV LD_LIBRARY_PATH=/opt/triton/lib PYTHONPATH=/opt/omma/lib/python3.11/site-packages
USER 10001:10001
