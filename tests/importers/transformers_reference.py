"""Run by a Python that has Transformers: writes a trained Marian model and what it gives.

Called with the directory of `marian_twin.write`; adds model.safetensors, the weights
in both of PyTorch's formats, and reference.json.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

UPDATES, ROWS = 150, 50


def pairs(directory):
    lines = (directory / "pairs.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines]


def batch(tokenizer, rows, start):
    """Inputs, what the decoder reads, labels, and where they are real."""
    source = tokenizer([one for one, _ in rows], return_tensors="pt", padding=True)
    target = tokenizer(text_target=[two for _, two in rows], return_tensors="pt", padding=True)
    labels, mask = target.input_ids, target.attention_mask.bool()
    first = torch.full((len(rows), 1), start)
    return source, torch.cat([first, labels[:, :-1]], 1), labels, mask


def train(model, tokenizer, rows):
    """Half learned: outputs that vary, and a search that has something to choose."""
    optimizer, start = torch.optim.Adam(model.parameters(), 3e-3), model.config.pad_token_id
    torch.manual_seed(2)
    for _ in range(UPDATES):
        chosen = [rows[i] for i in torch.randint(len(rows), [32]).tolist()]
        source, read, labels, mask = batch(tokenizer, chosen, start)
        logits = model(**source, decoder_input_ids=read).logits
        loss = torch.nn.functional.cross_entropy(logits[mask], labels[mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        model.final_logits_bias.add_(torch.randn(model.final_logits_bias.shape) * 0.1)
    model.eval()


def main(directory):
    raw = json.loads((directory / "config.json").read_text())
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = MarianMTModel(MarianConfig(**raw))
    files = [str(directory / name) for name in ("source.spm", "target.spm", "vocab.json")]
    tokenizer, rows = MarianTokenizer(*files), pairs(directory)
    train(model, tokenizer, rows)
    pad = raw["pad_token_id"]
    model.generation_config = GenerationConfig(
        num_beams=4,
        max_length=62,
        bad_words_ids=[[pad]],
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=0,
        renormalize_logits=True,
    )
    model.save_pretrained(directory)
    for zipped in (True, False):
        path = directory / f"zipped-{zipped}.bin"
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=zipped)
    rows = rows[:ROWS]
    source, read, labels, mask = batch(tokenizer, rows, pad)
    with torch.no_grad():
        logits = model(**source, decoder_input_ids=read).logits
        found = model.generate(
            **source, early_stopping=True, return_dict_in_generate=True, output_scores=True
        )
    reference = {
        "source_ids": [tokenizer(one).input_ids for one, _ in rows],
        "logits": [row[real].tolist() for row, real in zip(logits, mask)],
        "texts": tokenizer.batch_decode(found.sequences, skip_special_tokens=True),
        "scores": found.sequences_scores.tolist(),
    }
    (directory / "reference.json").write_text(json.dumps(reference))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
