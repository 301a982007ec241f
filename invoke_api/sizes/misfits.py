"""Warnings about a registry that does not fit on given GPUs."""

from collections.abc import Iterable, Iterator

from engine.memory.fit import GPU_MEMORY_UTILIZATION
from invoke_api.models.engine_factory import vllm_key
from invoke_api.models.registry import Model
from invoke_api.sizes.devices import Devices
from invoke_api.sizes.planning import ModelPlan, plan_model
from invoke_api.sizes.words import gigabytes

NAMED = 3  # models in a message about a shared GPU
ALMOST_ONE = 1.0001  # a sum of shares that only rounding lifts above 1


def find_misfits(models: Iterable[Model], devices: Devices) -> Iterator[str]:
    """Yield a sentence for each engine that can't run on these GPUs, and for shared GPUs.

    Models whose sizes are not known yield nothing.
    """
    engines = {vllm_key(model): model for model in reversed([*models]) if model.engine == "vllm"}
    plans: list[ModelPlan] = []
    for model in reversed(engines.values()):
        try:
            plans.append(plan_model(model))
        except (LookupError, ValueError):
            continue
    for plan in plans:
        if problem := _problem(plan, devices):
            yield f"{plan.model_id}: {problem}"
    yield from _crowded(plans, devices)


def _problem(plan: ModelPlan, devices: Devices) -> str | None:
    card, precision = devices.card, plan.precision
    needed = plan.layout.gpus * plan.engines
    if needed > devices.number and not _spans_machines(plan):
        product = f"{plan.layout.tensor} x {plan.layout.stages} x {plan.engines}"
        return f"needs {needed} GPUs (tensor x pipeline x data: {product}), not {devices}"
    if card.capability < precision.capability:
        wanted = precision.capability / 10
        return f"{precision.name} needs compute capability {wanted}, not {card.capability / 10}"
    found = plan.fit(card, plan.context)
    if found.starts:
        return None
    left = f"{gigabytes(found.cache)} are left for" if found.cache > 0 else "nothing is left for"
    return (
        f"does not fit on {card.name}: of {gigabytes(found.budget)}, {precision.name} weights take"
        f" {gigabytes(found.weights)} and a step {gigabytes(found.working)}; {left} the KV cache of"
        f" one call of {plan.context:,} tokens. `invoke-api plan` shows what fits"
    )


def _spans_machines(plan: ModelPlan) -> bool:
    """Tell whether the engine also uses GPUs of other machines."""
    options = plan.options
    return options.get("distributed_executor_backend") == "ray" or options.get("nnodes", 1) > 1


def _in_short(names: list[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{rest}"


def _crowded(plans: Iterable[ModelPlan], devices: Devices) -> Iterator[str]:
    """Yield a sentence if engines share a GPU and want more of it than all."""
    wanted: dict[int, dict[str, float]] = {}
    for plan in plans:
        named = plan.options.get("device_ids")
        numbers = named if isinstance(named, list) else range(plan.layout.gpus * plan.engines)
        share = plan.options.get("gpu_memory_utilization") or GPU_MEMORY_UTILIZATION
        for number in numbers:
            if isinstance(number, int) and number < devices.number:
                wanted.setdefault(number, {})[plan.model_id] = share
    for number, shares in sorted(wanted.items()):
        if sum(shares.values()) > ALMOST_ONE:
            names = _in_short([*shares])
            yield (
                f"GPU {number} is used by {len(shares)} engines, whose gpu_memory_utilization is"
                f" {sum(shares.values()):.2f} in total: {names}. Give each its own device_ids, or"
                " serve with --max-loaded-models 1 or --model ID"
            )
            return
