"""Run Ray Serve with a configuration in JSON until standard input is closed.

This is a program. It does what `serve run` does, on a small cluster of this machine without ports
for others.
"""

import json
import os
import sys
import time

import ray
from ray import serve
from ray.serve._private.api import serve_start  # which `serve run` calls
from ray.serve.schema import ServeDeploySchema


def main() -> None:
    config = ServeDeploySchema(**json.loads(sys.argv[1]))
    ray.init(
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=100_000_000,
        _temp_dir=os.environ["RAY_TMPDIR"],
        _node_ip_address="127.0.0.1",
    )
    client = serve_start(
        http_options=config.http_options.model_dump(), proxy_location=config.proxy_location
    )
    client.deploy_apps(config)
    while (statuses := {each.status for each in serve.status().applications.values()}) != {
        "RUNNING"
    }:
        assert not statuses & {"DEPLOY_FAILED", "UNHEALTHY"}, serve.status()
        time.sleep(0.5)
    print("\nREADY", flush=True)  # noqa: T201
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()


def _states() -> set[str]:
    return {str(each.status.value) for each in serve.status().applications.values()}


main()
