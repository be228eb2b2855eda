# NGINX for `page.nginx`, where the registry of the official image cannot be reached: Debian's. tests/kubernetes runs it.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends nginx-light > /dev/null \
    && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGQUIT
USER 10001:10001
CMD ["nginx", "-g", "daemon off;"]
