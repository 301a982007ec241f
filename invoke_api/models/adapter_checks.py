"""Find mistakes, and likely mistakes, in the LoRA adapters of a registry's models on vLLM."""

from collections.abc import Iterator, Sequence

from engine.lora import DEFAULT_MAX_ADAPTERS, find_other_base
from engine.vllm.options import runs_on_cpu
from invoke_api.models.engine_factory import vllm_key
from invoke_api.models.registry import Model


def slot_problems(models: Sequence[Model]) -> Iterator[str]:
    """Yield a message for each engine on the CPU whose adapters leave no slot free.

    vLLM (0.32) uses the index -1 for "no adapter" in a batch. On the CPU that is the last slot, so
    an adapter there changes the answers of the base model in the same batch.
    """
    if not runs_on_cpu():
        return
    for sharing in _by_engine(models).values():
        adapters = {model.adapter for model in sharing if model.adapter}
        slots = sharing[0].vllm.get("max_loras", DEFAULT_MAX_ADAPTERS)
        if len(adapters) >= slots:
            names = ", ".join(model.id for model in sharing if model.adapter)
            yield (
                f"{names}: vLLM on the CPU mixes an adapter in its last slot into the answers of"
                f" the base; set max_loras: {len(adapters) + 1} in its vllm options"
            )


def remarks(models: Sequence[Model]) -> Iterator[str]:
    """Yield a message for each likely mistake: another base, or an engine that is not shared."""
    for model in models:
        if model.adapter is None:
            continue
        if base := find_other_base(model.adapter, model.weights):
            yield f"{model.id}: its LoRA adapter was trained on {base}, not on {model.weights}"
        for other in models:
            same = other.weights == model.weights
            if same and other.adapter is None and vllm_key(other) != vllm_key(model):
                yield (
                    f"{model.id} and {other.id} have the same weights and an engine each; to share"
                    " one, give them the same tokenizer, context_length, limits and vllm options"
                )


def _by_engine(models: Sequence[Model]) -> dict[str, list[Model]]:
    """Group the models by engine. Leave out engines without adapters."""
    groups: dict[str, list[Model]] = {}
    for model in models:
        groups.setdefault(vllm_key(model), []).append(model)
    return {key: group for key, group in groups.items() if any(each.adapter for each in group)}
