"""Calls that fit beside the weights, by arithmetic that a reader can follow."""

from dataclasses import replace
from typing import Any

import pytest

from engine.memory.fit import (
    GIB,
    Card,
    Layout,
    blocks_of_call,
    can_divide,
    count_blocks,
    fit,
    token_bytes,
)
from engine.memory.network import read_network
from engine.memory.precision import PRECISIONS, weight_bytes
from tests.engine.memory.test_network import CONFIG, MIXTRAL, SEVEN_B, network_of

NETWORK = network_of(SEVEN_B)
LARGE_3 = network_of("mistralai/Mistral-Large-3-675B-Instruct-2512")
BF16 = PRECISIONS["bf16"]


@pytest.mark.parametrize(
    ("options", "layout", "expected"),
    [
        # 2 (keys and values) x 32 layers x 8 KV heads x 128 x 2 bytes = 128 KiB: the Mistral 7B
        # paper's table (arXiv 2310.06825) has these sizes, and 8 KV heads for 32 heads.
        ({}, Layout(), 131_072),
        ({"kv_cache_dtype": "fp8"}, Layout(), 65_536),
        ({"kv_cache_dtype": "fp8_e5m2"}, Layout(), 65_536),
        ({"dtype": "float32"}, Layout(), 262_144),
        ({}, Layout(tensor=4), 32_768),
        ({}, Layout(tensor=16), 16_384),  # a GPU has at least one KV head
        ({}, Layout(stages=2), 65_536),
        ({}, Layout(tensor=2, stages=4), 16_384),
    ],
)
def test_the_bytes_of_a_token_in_the_kv_cache_of_a_gpu(
    options: dict[str, Any], layout: Layout, expected: int
) -> None:
    assert token_bytes(NETWORK, options, layout) == expected


def test_each_gpu_holds_the_whole_latent_vector() -> None:
    assert token_bytes(LARGE_3, {}, Layout()) == 61 * (512 + 64) * 2
    assert token_bytes(LARGE_3, {}, Layout(tensor=8)) == 61 * (512 + 64) * 2


def test_a_sliding_window_bounds_the_blocks_of_a_call() -> None:
    sliding = replace(NETWORK, window=4_096)

    assert blocks_of_call(NETWORK, 32_768, 16, 0) == 2_048
    assert blocks_of_call(sliding, 32_768, 16, 0) == 257
    assert blocks_of_call(sliding, 32_768, 16, 2_048) == 385
    assert blocks_of_call(sliding, 4_096, 16, 2_048) == 256
    assert blocks_of_call(sliding, 17, 16, 2_048) == 2


def test_tensor_parallelism_divides_matrices_and_tables_but_no_norms() -> None:
    whole = weight_bytes(NETWORK, BF16)
    half = weight_bytes(NETWORK, BF16, tensor=2)

    assert 2 * half - whole == NETWORK.others * 2
    assert weight_bytes(NETWORK, BF16, stages=2) == whole - NETWORK.matrices


def test_heads_must_be_divisible() -> None:
    small = network_of("mistralai/Mistral-Small-Instruct-2409")  # 48 heads, 8 KV heads

    assert [size for size in range(1, 17) if can_divide(small, size)] == [1, 2, 4, 8, 16]
    assert [size for size in range(1, 17) if can_divide(LARGE_3, size)] == [1, 2, 4, 8, 16]
    three = read_network(CONFIG | {"num_attention_heads": 24, "num_key_value_heads": 3})
    assert [size for size in range(1, 13) if can_divide(three, size)] == [1, 3, 6, 12]


def test_the_steps_add_up() -> None:
    card = Card("x", 80 * GIB, 90)
    options = {"gpu_memory_utilization": 0.5, "max_num_seqs": 4, "max_num_batched_tokens": 1_024}

    found = fit(NETWORK, BF16, card, Layout(), options, tokens=1_000, context=32_768)

    assert found.budget == 40 * GIB
    assert found.weights == 14_483_464_192
    assert found.cache == found.budget - found.weights - found.working
    assert found.blocks == found.cache // (16 * 131_072)
    assert found.calls == 4  # max_num_seqs
    assert found.starts


def test_a_network_that_leaves_no_memory_has_no_calls() -> None:
    card = Card("x", 24 * GIB, 90)

    found = fit(network_of(MIXTRAL), BF16, card, Layout(2), {}, tokens=1, context=32_768)

    assert found.cache < 0
    assert (found.blocks, found.calls, found.starts) == (0, 0, False)


def test_vllm_refuses_to_start_if_one_whole_context_does_not_fit() -> None:
    card = Card("x", 24 * GIB, 90)

    def starts(context: int) -> bool:
        return fit(NETWORK, BF16, card, Layout(), {}, tokens=128, context=context).starts

    longest = fit(NETWORK, BF16, card, Layout(), {}, tokens=128, context=128).tokens - 16
    assert starts(longest)
    assert not starts(longest + 1)


def test_a_given_size_of_the_cache_wins() -> None:
    options = {"kv_cache_memory_bytes": 2**30, "block_size": 128}

    found = fit(NETWORK, BF16, Card("x", 80 * GIB, 90), Layout(), options, tokens=1, context=128)

    assert found.blocks == count_blocks(2**30, 128, 131_072) == 64
