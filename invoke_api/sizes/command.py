"""The command `invoke-api plan`, and the flag --gpu that `check` shares."""

import json
from pathlib import Path
from typing import Any

import click

from invoke_api.models.registry import Registry
from invoke_api.server.bootstrap import load_models
from invoke_api.server.flags import registry_option
from invoke_api.sizes.devices import Devices, find_devices, parse_devices
from invoke_api.sizes.misfits import find_misfits
from invoke_api.sizes.planning import plan_model
from invoke_api.sizes.report import document_of, legend, lines_of

TOKENS = 8_192  # of a call, prompt and answer together


class DevicesType(click.ParamType[Devices]):
    """GPUs like `H100-80GB:4`."""

    name = "gpu"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Devices:
        if isinstance(value, Devices):
            return value
        try:
            return parse_devices(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


gpu_option = click.option(
    "--gpu",
    type=DevicesType(),
    metavar="NAME[:COUNT]",
    help="GPUs to plan for, for example H100-80GB:4. Default: those that nvidia-smi finds.",
)


@click.command()
@registry_option
@click.option("--model", multiple=True, metavar="ID", help="Model to plan; repeatable.")
@gpu_option
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    default=TOKENS,
    show_default=True,
    help="Length of a call, prompt and answer together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    registry: Path, model: tuple[str, ...], gpu: Devices | None, tokens: int, *, as_json: bool
) -> None:
    """Show how much GPU memory each model needs, and on which GPUs it fits.

    Without GPUs, a table shows the smallest tensor_parallel_size for each kind of GPU.
    """
    devices = gpu or find_devices()
    documents: list[dict[str, Any]] = []
    for each in load_models(registry, model).models.values():
        try:
            found = plan_model(each)
        except (LookupError, ValueError) as error:
            documents.append({"model": each.id, "weights": each.weights, "problem": str(error)})
            lines = [f"{each.id}  {each.weights}", f"  not planned   {error}"]
        else:
            documents.append(document_of(found, devices, tokens))
            lines = [*lines_of(found, devices, tokens)]
        if not as_json:
            click.echo("\n".join([*lines, ""]))
    if as_json:
        click.echo(json.dumps({"models": documents}, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(legend()))


def warnings_of_misfits(registry: Registry, gpu: Devices | None) -> list[str]:
    """Return a warning for each engine that can't run on the named GPUs, or on this machine's."""
    devices = gpu or find_devices()
    found = find_misfits(registry.models.values(), devices) if devices else ()
    return [f"warning: {sentence}" for sentence in found]
