"""Plans of models: the sizes of a checkpoint, and how its engine fits on GPUs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.memory.fit import Card, Fit, Layout, can_divide, fit
from engine.memory.network import Network, read_network
from engine.memory.precision import PRECISIONS, Precision, precision_of
from engine.vllm.checkpoint_config import find_config
from invoke_api.models.registry import Model
from invoke_api.sizes.devices import Devices
from invoke_api.yaml_files import load_schema

TENSOR_SIZES = (1, 2, 4, 8, 16)
# Engine arguments that the arithmetic reads. vLLM also checks them, if it is installed.
NUMBERS = (
    *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
    *("data_parallel_size_local", "gpu_memory_utilization", "kv_cache_memory_bytes"),
    *("block_size", "max_num_batched_tokens", "max_num_seqs"),
)
MOST_IN_TABLE = 8  # GPUs of one machine


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """A model with the sizes of its checkpoint.

    `source` names where the sizes are from. `precision` and `layout` are those of the registry's
    engine arguments `options`, and `engines` the copies of the weights (`data_parallel_size`).
    """

    model_id: str
    weights: str
    source: str
    guess: str | None
    network: Network
    options: Mapping[str, Any]
    context: int
    precision: Precision
    layout: Layout
    engines: int

    def fit(
        self,
        card: Card,
        tokens: int,
        precision: Precision | None = None,
        layout: Layout | None = None,
    ) -> Fit:
        """Return how the model fits, as the registry has it or with another precision or layout."""
        return fit(
            self.network,
            precision or self.precision,
            card,
            layout or self.layout,
            self.options,
            tokens=tokens,
            context=self.context,
        )


def plan_model(model: Model) -> ModelPlan:
    """Return the plan of a model.

    The checkpoint's own configuration comes first, then the bundled facts. Raises `LookupError` if
    neither is there, and `ValueError` if the configuration can't be used. Both have explanations.
    """
    found = find_config(model.weights, model.vllm)
    if found:
        source, config = str(found[0]), found[1]
        facts: Mapping[str, Any] = {}
    elif facts := load_schema("checkpoints.json")["checkpoints"].get(model.weights, {}):
        source, config = facts["source"], facts["config"]
    else:
        raise LookupError(
            f"{model.weights} is not on this machine, and its config.json is not bundled"
        )
    try:
        network = read_network(config, facts.get("encoder"))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    options = model.vllm
    for name in NUMBERS:
        value = options.get(name)
        if value is not None and not (isinstance(value, int | float) and value > 0):
            raise ValueError(f"{name} is {value!r}")
    local = options.get("data_parallel_size_local") or options.get("data_parallel_size") or 1
    return ModelPlan(
        model_id=model.id,
        weights=model.weights,
        source=source,
        guess=facts.get("guess"),
        network=network,
        options=options,
        context=model.context_length,
        precision=precision_of(network, options),
        layout=Layout(
            options.get("tensor_parallel_size") or 1, options.get("pipeline_parallel_size") or 1
        ),
        engines=local,
    )


def possible_fits(plan: ModelPlan, devices: Devices, tokens: int) -> Iterator[Fit]:
    """Yield the precisions and tensor parallel sizes with which at least one call fits."""
    for precision in PRECISIONS.values():
        for size in TENSOR_SIZES:
            if size <= devices.number and can_divide(plan.network, size):
                found = _fit_alone(plan, devices.card, tokens, precision, size)
                if found.calls:
                    yield found


def smallest_fit(plan: ModelPlan, card: Card, precision: Precision, tokens: int) -> Fit | None:
    """Return the fit on the fewest GPUs of one machine, or None."""
    for size in TENSOR_SIZES:
        if size <= MOST_IN_TABLE and can_divide(plan.network, size):
            found = _fit_alone(plan, card, tokens, precision, size)
            if found.calls:
                return found
    return None


def _fit_alone(plan: ModelPlan, card: Card, tokens: int, precision: Precision, size: int) -> Fit:
    """Return a fit without pipeline stages. It has no calls if the GPU can't do the precision."""
    found = plan.fit(card, tokens, precision, Layout(size))
    if card.capability < precision.capability:
        return replace(found, calls=0)
    return found
