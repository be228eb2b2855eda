# One image for every process of Omma: the command says which, `python -m services.gateway` and so on.
FROM python:3.11-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/omma
ENV PATH=/opt/omma/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY locks/cluster.txt locks/
RUN pip install -q --require-hashes --no-deps -r locks/cluster.txt
COPY pyproject.toml README.md LICENSE ./
COPY omma omma
COPY services services
COPY migrations migrations
RUN pip install -q --no-deps --no-build-isolation . \
    && python -m compileall -q -j 0 /opt/omma/lib

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data omma \
    && mkdir -p /data /tls /triton \
    && chown omma:omma /data /tls /triton
COPY --from=build /opt/omma /opt/omma
COPY models /models
COPY deploy/compose/certificate /usr/local/bin/certificate
ENV PATH=/opt/omma/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMMA_EGS__MODELS_DIR=/models \
    OMMA_DATA_DIR=/data
USER omma
WORKDIR /data
EXPOSE 8080 9090 9464
# The loop turns; whether it is ready is for whoever starts it to ask.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-m", "omma.rpc.probe", "liveness"]
CMD ["omma", "up"]
