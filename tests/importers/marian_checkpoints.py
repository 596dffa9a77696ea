"""A Marian directory of random weights, and Marian's formulas over it in plain NumPy."""

import functools
import io
import json

import numpy as np
import sentencepiece

CONFIG = {
    "model_type": "marian",
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 20,
    "activation_function": "swish",
    "scale_embedding": True,
    "max_position_embeddings": 64,
    "eos_token_id": 0,
    "dropout": 0.1,
    "normalize_before": False,
}
SEARCH = {"num_beams": 3, "max_length": 14, "renormalize_logits": True, "length_penalty": 0.8}
SOURCE = ["the cat sees a dog", "a red house, the long road", "my brother likes apples!"] * 6
TARGET = ["die Katze sieht einen Hund", "ein rotes Haus, der lange Weg", "Äpfel mag er!"] * 6
TAGS = [">>deu<<", ">>fra<<"]
DROPPED = ("c", "l")  # pieces of the source's model that no vocabulary has


@functools.cache
def pieces_model(side):
    """A serialised SentencePiece model and the pieces that it cuts texts into."""
    model, lines = io.BytesIO(), {"source": SOURCE, "target": TARGET}[side]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=50,
        hard_vocab_limit=False,
        minloglevel=2,
        character_coverage=1.0,
    )
    package = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    names = [package.id_to_piece(n) for n in range(package.get_piece_size())]
    return model.getvalue(), names[3:]


def vocabulary(*sides, pad_last=True):
    """{piece: id} in an order of its own, as of vocab.json."""
    pieces = {piece for side in sides for piece in pieces_model(side)[1]} - {*DROPPED}
    pad = ["<pad>"]
    names = ["</s>", "<unk>", *(pad * (not pad_last)), *TAGS, *sorted(pieces)[::-1]]
    return {name: number for number, name in enumerate([*names, *(pad * pad_last)])}


def shapes(config, separate):
    """Every array of the file by its name."""
    width, found = config["d_model"], {}
    sizes = config["vocab_size"], config["decoder_vocab_size"]
    if separate:
        found = {
            f"model.{side}.embed_tokens.weight": (size, width)
            for side, size in zip(("encoder", "decoder"), sizes, strict=True)
        }
    else:
        found["model.shared.weight"] = sizes[0], width
    if not config.get("tie_word_embeddings", True):
        found["lm_head.weight"] = sizes[1], width
    found["final_logits_bias"] = 1, sizes[1]
    for part in ("encoder", "decoder"):
        hidden = config[f"{part}_ffn_dim"]
        attentions = ["self_attn"] + ["encoder_attn"] * (part == "decoder")
        for layer in range(config[f"{part}_layers"]):
            name = f"model.{part}.layers.{layer}"
            dense = {f"{a}.{p}_proj": (width, width) for a in attentions for p in ("q", "k", "v")}
            dense |= {f"{a}.out_proj": (width, width) for a in attentions}
            dense |= {"fc1": (hidden, width), "fc2": (width, hidden)}
            for one, shape in dense.items():
                found |= {f"{name}.{one}.weight": shape, f"{name}.{one}.bias": shape[:1]}
            for one in [*(f"{a}_layer_norm" for a in attentions), "final_layer_norm"]:
                found |= {f"{name}.{one}.{kind}": (width,) for kind in ("weight", "bias")}
    return found


def tensors(config, separate=False):
    """Random weights large enough that every part matters, by their names."""
    random, made = np.random.default_rng(33), {}
    for name, shape in shapes(config, separate).items():
        centre = 1.0 if name.endswith("norm.weight") else 0.0
        scale = 1.0 if "encoder_attn" in name else 0.4
        made[name] = random.normal(centre, scale, shape).astype("float32")
    # norms of either sign: a tied head would otherwise prefer the previous token
    last = f"model.decoder.layers.{config['decoder_layers'] - 1}.final_layer_norm.weight"
    made[last] = random.normal(0, 1.5, config["d_model"]).astype("float32")
    made["final_logits_bias"][0, 0] += 1.0
    return made


def write_safetensors(path, arrays, types=None):
    """The format by hand; `types` gives names of types other than F32, for arrays of 16 bits."""
    header, content = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        data = array.tobytes()
        header[name] = {
            "dtype": (types or {}).get(name, "F32"),
            "shape": list(array.shape),
            "data_offsets": [len(content), len(content) + len(data)],
        }
        content += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def write(directory, separate=False, search=SEARCH, **changes):
    """Writes a complete directory; returns its configuration and arrays."""
    directory.mkdir(parents=True, exist_ok=True)
    source = vocabulary("source", *([] if separate else ["target"]), pad_last=not separate)
    target = vocabulary("target", pad_last=False) if separate else source
    pad = target["<pad>"]
    config = CONFIG | {"vocab_size": len(source), "decoder_vocab_size": len(target)}
    config |= {"pad_token_id": pad, "decoder_start_token_id": pad}
    config |= {"share_encoder_decoder_embeddings": not separate, **changes}
    arrays = tensors(config, separate)
    for side in ("source", "target"):
        (directory / f"{side}.spm").write_bytes(pieces_model(side)[0])
    files = {"config.json": config, "vocab.json": source}
    files["generation_config.json"] = {"bad_words_ids": [[pad]], **search}
    if separate:
        files["target_vocab.json"] = target
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content))
    write_safetensors(directory / "model.safetensors", arrays)
    return config, arrays


def positions(count, width):
    """Sines of even columns in the first half, cosines of odd ones in the second."""
    table = np.array(
        [[p / 10000 ** (2 * (j // 2) / width) for j in range(width)] for p in range(count)]
    )
    return np.concatenate([np.sin(table[:, 0::2]), np.cos(table[:, 1::2])], 1)


class Twin:
    """One sentence at a time, in float64."""

    def __init__(self, config, arrays):
        self.config, self.arrays = config, {k: v.astype("float64") for k, v in arrays.items()}

    def table(self, part):
        own = f"model.{part}.embed_tokens.weight"
        return self.arrays["model.shared.weight" if own not in self.arrays else own]

    def logits(self, source, target):
        """Ids of a source and of what a decoder reads -> [T, V]."""
        memory = self.run("encoder", source)
        outputs = self.run("decoder", target, memory)
        own = "lm_head.weight"
        head = self.arrays[own] if own in self.arrays else self.table("decoder")
        return outputs @ head.T + self.arrays["final_logits_bias"][0]

    def run(self, part, ids, memory=None):
        width = self.config["d_model"]
        x = self.table(part)[ids] * (width**0.5 if self.config["scale_embedding"] else 1.0)
        x = x + positions(len(ids), width)
        heads, causal = self.config[f"{part}_attention_heads"], part == "decoder"
        for number in range(self.config[f"{part}_layers"]):
            layer = f"model.{part}.layers.{number}"
            x = self.norm(
                x + self.attend(f"{layer}.self_attn", x, x, heads, causal),
                f"{layer}.self_attn_layer_norm",
            )
            if memory is not None:
                x = self.norm(
                    x + self.attend(f"{layer}.encoder_attn", x, memory, heads, False),
                    f"{layer}.encoder_attn_layer_norm",
                )
            y = self.dense(f"{layer}.fc2", self.activate(self.dense(f"{layer}.fc1", x)))
            x = self.norm(x + y, f"{layer}.final_layer_norm")
        return x

    def activate(self, x):
        swish = self.config["activation_function"] == "swish"
        return x / (1 + np.exp(-x)) if swish else np.maximum(x, 0)

    def dense(self, name, x):
        return x @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return x * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def attend(self, name, x, memory, heads, causal):
        query, keys, values = (
            self.dense(f"{name}.{one}_proj", given).reshape(len(given), heads, -1).swapaxes(0, 1)
            for one, given in (("q", x), ("k", memory), ("v", memory))
        )  # [H, N, d]
        scores = query @ keys.swapaxes(1, 2) * query.shape[2] ** -0.5
        if causal:
            scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.dense(f"{name}.out_proj", (weights @ values).swapaxes(0, 1).reshape(len(x), -1))

    def greedy(self, source, longest):
        """Greedy ids without padding and end token."""
        pad, found = self.config["pad_token_id"], []
        while len(found) < longest:
            logits = self.logits(source, [self.config["decoder_start_token_id"], *found])[-1]
            logits[pad] = -np.inf
            if logits.argmax() == self.config["eos_token_id"]:
                break
            found.append(int(logits.argmax()))
        return found


def cut(side, text):
    """Equivalent of `MarianTokenizer._tokenize`."""
    tags = []
    if text.startswith(">>") and "<<" in text:
        end = text.find("<<") + 2
        tags, text = [text[:end]], text[end:]
    package = sentencepiece.SentencePieceProcessor(model_proto=pieces_model(side)[0])
    return tags + package.encode(text, out_type=str)
