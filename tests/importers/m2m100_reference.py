"""Run by a Python that has Transformers: what an M2M100 model gives, greedily, in reference.json.

Called with the directory of `m2m100_twin.write` and the ids of both languages; texts.json lists
the sources.
"""

import json
import sys
from pathlib import Path

import sentencepiece
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration
from transformers.modeling_utils import load_state_dict

LONGEST = 19  # pieces after the language


def main(directory, source_language, target_language):
    raw = json.loads((directory / "config.json").read_text())
    model = M2M100ForConditionalGeneration(M2M100Config(**raw))
    state = load_state_dict(str(directory / "model.safetensors"))
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys, missing
    model.tie_weights()
    model.eval()
    package = sentencepiece.SentencePieceProcessor(str(directory / "sentencepiece.bpe.model"))
    vocabulary = json.loads((directory / "vocab.json").read_text())
    reference = {"source_ids": [], "ids": [], "log_probs": []}
    for text in json.loads((directory / "texts.json").read_text()):
        pieces = package.encode(text, out_type=str)
        ids = [source_language, *(vocabulary.get(piece, 3) for piece in pieces), 2]
        found, scores = [], []
        with torch.no_grad():
            while len(found) < LONGEST:
                read = torch.tensor([[2, target_language, *found]])
                logits = model(input_ids=torch.tensor([ids]), decoder_input_ids=read).logits[0, -1]
                log_probs = torch.log_softmax(logits, -1)
                log_probs[1] = -torch.inf  # padding
                best = int(log_probs.argmax())
                scores.append(float(log_probs[best]))
                if best == 2:
                    break
                found.append(best)
        reference["source_ids"].append(ids)
        reference["ids"].append(found)
        reference["log_probs"].append(scores[: len(found)])
    (directory / "reference.json").write_text(json.dumps(reference))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
