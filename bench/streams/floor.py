"""vLLM's `AsyncLLM` called without HTTP: the lower bound of any front end's cost.

usage: python -m bench.streams.floor CHECKPOINT
CHECKPOINT is JSON with `folder`, `tokenizer` and `options`. The process listens on a port. It reads
a batch as one line, and writes the result as one line.
"""

import asyncio
import json
import sys
from contextlib import aclosing
from dataclasses import asdict
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.streams.batch import Batch, Drive, Sample
from bench.streams.load import drive
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer


def main() -> None:
    given = json.loads(sys.argv[1])
    asyncio.run(serve(given["folder"], load_tokenizer(given["tokenizer"]), given["options"]))


async def serve(folder: str, tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    floor = Floor(open_llm(folder, options), tokenizer)
    # The line of a batch or result is long for many users.
    server = await asyncio.start_server(floor.reply, "127.0.0.1", 0, limit=2**26)
    print(f"listens on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def open_llm(folder: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - vLLM has no types here
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415 - takes seconds
    from vllm.usage.usage_lib import UsageContext  # noqa: PLC0415
    from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415

    arguments = AsyncEngineArgs(**{**options, "model": folder, "disable_log_stats": True})
    # vLLM's batch sizes depend on the usage context; this is its own server's.
    return AsyncLLM.from_engine_args(arguments, usage_context=UsageContext.OPENAI_API_SERVER)


class Floor:
    def __init__(self, llm: Any, tokenizer: Tokenizer) -> None:  # noqa: ANN401 - an AsyncLLM
        self._llm = llm
        self._tokenizer = tokenizer
        self._names = map(str, count())

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        batch = Batch(**json.loads(await reader.readline()))
        done = await drive(batch, self.generate)
        writer.write(json.dumps(asdict(done)).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def generate(self, batch: Batch, text: str) -> Sample:
        """Generate an answer. The time includes the prompt's tokenization, as for a client."""
        began = perf_counter()
        arrivals: list[float] = []
        prompt = self._tokenizer.encode(text)
        steps = self._llm.generate(
            {"prompt_token_ids": list(prompt)}, sampling(batch.tokens), next(self._names)
        )
        failure, tokens = None, 0
        try:
            async with asyncio.timeout(batch.timeout), aclosing(steps):
                async for step in steps:
                    arrivals.append(perf_counter() - began)
                    tokens += len(step.outputs[0].token_ids)
        except TimeoutError:
            failure = "timed out"
        return Sample(arrivals, perf_counter() - began, len(prompt), tokens, failure)


def sampling(tokens: int) -> Any:  # noqa: ANN401 - vLLM has no types here
    """Return sampling parameters as Invoke API's: greedy, token by token, without text."""
    from vllm import SamplingParams  # noqa: PLC0415 - takes seconds
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    return SamplingParams(
        max_tokens=tokens,
        temperature=0.0,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def ask_floor(port: int, batch: Batch) -> Drive:
    """Send a batch to the process on this port."""
    return asyncio.run(_ask_floor(port, batch))


async def _ask_floor(port: int, batch: Batch) -> Drive:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    writer.write(json.dumps(asdict(batch)).encode() + b"\n")
    done = json.loads(await reader.readline())
    writer.close()
    samples = [Sample(**sample) for sample in done["samples"]]
    return Drive(samples, done["seconds"], done["own"])


def as_argument(folder: Path, tokenizer: str, options: dict[str, Any]) -> str:
    return json.dumps({"folder": str(folder), "tokenizer": tokenizer, "options": options})


if __name__ == "__main__":
    main()
