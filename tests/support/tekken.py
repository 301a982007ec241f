"""A demo checkpoint with a Tekken tokenizer, whose model writes calls as `name[ARGS]{}`."""

import json
from pathlib import Path

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from engine.demo.checkpoints import Demo, write_model
from engine.tokenization.mistral_files import carried
from engine.tokenization.tekken import CARRIED_FILE, LATER_CONTROL_TOKENS
from engine.tokenization.tokenizer import load_tokenizer

SIZE = 32_768  # tokens, a quarter of the models'
SPECIAL = 1_000
TOY = Demo("tekken", "tekken", seed=2, experts=0, intermediate=512)


def write_toy(folder: Path) -> None:
    """Write the checkpoint into a new folder."""
    document = json.loads(carried(CARRIED_FILE).read_bytes())
    known = [dict(each) for each in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    document["special_tokens"] = [
        *known,
        *(
            {
                "rank": rank,
                "token_str": LATER_CONTROL_TOKENS.get(rank, f"<SPECIAL_{rank}>"),
                "is_control": True,
            }
            for rank in range(len(known), SPECIAL)
        ),
    ]
    document["vocab"] = document["vocab"][: SIZE - SPECIAL]
    document["config"] |= {"version": "v11", "default_vocab_size": SIZE}
    folder.mkdir(parents=True)
    (folder / "tekken.json").write_text(json.dumps(document))
    write_model(TOY, load_tokenizer("tekken", str(folder)), folder)
