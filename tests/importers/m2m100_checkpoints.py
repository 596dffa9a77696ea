"""An M2M100 directory of random weights, and its formulas over it in plain NumPy."""

import json

import numpy as np

from tests.importers import marian_checkpoints

CONFIG = marian_checkpoints.CONFIG | {
    "model_type": "m2m_100",
    "activation_function": "relu",
    "eos_token_id": 2,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "decoder_start_token_id": 2,
    "tie_word_embeddings": True,
}
LANGUAGES = ["__en__", "__de__", "__fr__"]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def write(directory, alone=False, **changes):
    """A whole directory; gives its configuration, its arrays and all pieces in their order.

    `alone`: without vocab.json, as NLLB's.
    """
    directory.mkdir(parents=True, exist_ok=True)
    content, pieces = marian_checkpoints.pieces_model("source")
    kept = pieces if alone else [piece for piece in pieces[::-1] if piece != "c"]
    names = [*SPECIAL, *kept, *LANGUAGES]
    config = CONFIG | {"vocab_size": len(names) + 3, **changes}
    (directory / "sentencepiece.bpe.model").write_bytes(content)
    files = {"config.json": config, "generation_config.json": marian_checkpoints.SEARCH}
    files["special_tokens_map.json"] = {"additional_special_tokens": LANGUAGES}
    if not alone:
        files["vocab.json"] = {name: n for n, name in enumerate(names[: -len(LANGUAGES)])}
    for name, value in files.items():
        (directory / name).write_text(json.dumps(value))
    arrays = tensors(config)
    marian_checkpoints.write_safetensors(directory / "model.safetensors", arrays)
    return config, arrays, names


def tensors(config):
    """Random weights by their names: Marian's, and a norm at the end of each stack."""
    arrays = marian_checkpoints.tensors(config | {"decoder_vocab_size": config["vocab_size"]})
    del arrays["final_logits_bias"]
    random = np.random.default_rng(7)
    for part in ("encoder", "decoder"):
        for kind, centre in (("weight", 1.0), ("bias", 0.0)):
            value = random.normal(centre, 0.5, config["d_model"])
            arrays[f"model.{part}.layer_norm.{kind}"] = value.astype("float32")
    return arrays


def positions(count, width):
    """Tensor2Tensor's, of the positions 2, 3, ..."""
    half = width // 2
    rates = np.exp(np.arange(half) * -np.log(10000.0) / (half - 1))
    angles = np.arange(2, count + 2)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)


class Twin(marian_checkpoints.Twin):
    """Pre-norm layers with a norm behind the last."""

    def logits(self, source, target):
        outputs = self.run("decoder", target, self.run("encoder", source))
        return outputs @ self.table("decoder").T

    def run(self, part, ids, memory=None):
        width = self.config["d_model"]
        x = self.table(part)[ids] * width**0.5 + positions(len(ids), width)
        heads, causal = self.config[f"{part}_attention_heads"], part == "decoder"
        for number in range(self.config[f"{part}_layers"]):
            layer = f"model.{part}.layers.{number}"
            y = self.norm(x, f"{layer}.self_attn_layer_norm")
            x = x + self.attend(f"{layer}.self_attn", y, y, heads, causal)
            if memory is not None:
                y = self.norm(x, f"{layer}.encoder_attn_layer_norm")
                x = x + self.attend(f"{layer}.encoder_attn", y, memory, heads, False)
            y = self.norm(x, f"{layer}.final_layer_norm")
            x = x + self.dense(f"{layer}.fc2", self.activate(self.dense(f"{layer}.fc1", y)))
        return self.norm(x, f"model.{part}.layer_norm")

    def greedy(self, source, language, longest):
        """Greedy ids after the language token, without the end token."""
        found = []
        while len(found) < longest:
            logits = self.logits(source, [2, language, *found])[-1]
            logits[1] = -np.inf
            if logits.argmax() == 2:
                break
            found.append(int(logits.argmax()))
        return found
