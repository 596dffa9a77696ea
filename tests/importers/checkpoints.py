"""OpenNMT-tf checkpoints of random weights, and the model's formulas in NumPy."""

import numpy as np
import tensorflow as tf

UNITS, HEADS, HIDDEN, LAYERS = 8, 2, 12, (2, 1)
WORDS = [f"w{number}" for number in range(7)]
SIZE = len(WORDS) + 4  # <blank>, <s>, </s>, the words, <unk>
CONFIG = "data: {source_vocabulary: VOCABULARY, target_vocabulary: VOCABULARY}\n"
DESCRIPTION = f"""import opennmt
model = lambda: opennmt.models.Transformer(num_units={UNITS}, num_heads={HEADS}, dropout=0.2)
"""


def shapes(norm="pre", sharing="none", bias=True, relative=None):
    """The shape of every variable, by its name starting with `model/`."""
    made, square = {}, [UNITS, UNITS]
    for part, layers in zip(("encoder", "decoder"), LAYERS, strict=True):
        attentions = ["self_attention"] + ["attention/0"] * (part == "decoder")
        for layer in (f"{part}/layers/{number}" for number in range(layers)):
            for name in attentions:
                for one in ("queries", "keys", "values", "output"):
                    made[f"{layer}/{name}/layer/linear_{one}/kernel"] = square
                    made[f"{layer}/{name}/layer/linear_{one}/bias"] = [UNITS]
            for one in ("keys", "values") if relative else ():
                vectors = f"{layer}/self_attention/layer/relative_position_{one}"
                made[vectors] = [2 * relative + 1, UNITS // HEADS]
            made[f"{layer}/ffn/layer/inner/kernel"] = [UNITS, HIDDEN]
            made[f"{layer}/ffn/layer/inner/bias"] = [HIDDEN]
            made[f"{layer}/ffn/layer/outer/kernel"] = [HIDDEN, UNITS]
            made[f"{layer}/ffn/layer/outer/bias"] = [UNITS]
            kind = "input_layer_norm" if norm == "pre" else "output_layer_norm"
            for name in (*attentions, "ffn"):
                made |= {f"{layer}/{name}/{kind}/{one}": [UNITS] for one in ("gamma", "beta")}
        if norm == "pre":
            made |= {f"{part}/layer_norm/{one}": [UNITS] for one in ("gamma", "beta")}
    made["examples_inputter/features_inputter/embedding"] = [SIZE, UNITS]
    if sharing in ("none", "target"):
        made["examples_inputter/labels_inputter/embedding"] = [SIZE, UNITS]
    if sharing in ("none", "source_target_input"):
        made["decoder/output_layer/kernel"] = [UNITS, SIZE]
    return made | ({"decoder/output_layer/bias": [SIZE]} if bias else {})


def random_weights(of, seed=0):
    """A random array for every shape."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(name.endswith("gamma"), 0.4, shape).astype("float32")
        for name, shape in of.items()
    }


def save(directory, weights, step=7):
    """Writes a checkpoint, its vocabulary, its configuration and its description."""
    root = tf.train.Checkpoint()
    root.model = tf.Module()
    for name, value in weights.items():
        node, *path = [root.model, *name.split("/")]
        for part in path[:-1]:
            if not hasattr(node, part):
                setattr(node, part, tf.Module())
            node = getattr(node, part)
        setattr(node, path[-1], tf.Variable(value))
    tf.train.CheckpointManager(root, directory, max_to_keep=2).save(checkpoint_number=step)
    vocabulary = directory / "v.txt"
    vocabulary.write_text("\n".join(["<blank>", "<s>", "</s>", *WORDS]) + "\n")
    (directory / "config.yml").write_text(CONFIG.replace("VOCABULARY", str(vocabulary)))
    (directory / "model_description.py").write_text(DESCRIPTION)


class Forward:
    """A Transformer in NumPy, one row at a time, on OpenNMT-tf ids.

    Vaswani et al. 2017, arXiv:1706.03762, with positions from 1, sines before cosines, and the
    epsilon 0.001 of Keras's layer normalisation; or the relative positions of Shaw et al. 2018,
    arXiv:1803.02155, equations 3 and 4, up to a distance of `relative`.
    """

    def __init__(self, weights, norm="pre", relative=None):
        self.weights, self.norm, self.relative = weights, norm, relative

    def logits(self, source, target):
        """[T, V] of source ids [S], and target ids [T] that begin with <s>."""
        embedding = "examples_inputter/features_inputter/embedding"
        own = self.weights.get("examples_inputter/labels_inputter/embedding")
        table = self.weights[embedding] if own is None else own
        memory = self.stack("encoder", self.weights[embedding][source])
        outputs = self.stack("decoder", table[target], memory)
        kernel = self.weights.get("decoder/output_layer/kernel", table.T)
        return outputs @ kernel + self.weights.get("decoder/output_layer/bias", 0.0)

    def stack(self, part, x, memory=None):
        x = x * UNITS**0.5 + (0.0 if self.relative else positions(len(x)))
        causal = np.tri(len(x), dtype=bool)
        for number in range(LAYERS[part == "decoder"]):
            layer = f"{part}/layers/{number}"
            mask = causal if memory is not None else np.ones_like(causal)
            x = self.residual(
                f"{layer}/self_attention",
                x,
                lambda x, mask=mask, name=layer: self.attend(
                    f"{name}/self_attention/layer", x, x, mask
                ),
            )
            if memory is not None:
                x = self.residual(
                    f"{layer}/attention/0",
                    x,
                    lambda x, name=layer: self.attend(f"{name}/attention/0/layer", x, memory),
                )
            x = self.residual(
                f"{layer}/ffn",
                x,
                lambda x, name=layer: self.dense(
                    f"{name}/ffn/layer/outer",
                    np.maximum(self.dense(f"{name}/ffn/layer/inner", x), 0),
                ),
            )
        return self.normalise(f"{part}/layer_norm", x) if self.norm == "pre" else x

    def residual(self, name, x, part):
        if self.norm == "pre":
            return x + part(self.normalise(f"{name}/input_layer_norm", x))
        return self.normalise(f"{name}/output_layer_norm", x + part(x))

    def normalise(self, name, x):
        centred = x - x.mean(-1, keepdims=True)
        x = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-3)
        return x * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]

    def dense(self, name, x):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def attend(self, name, x, memory, mask=None):
        size, outputs = UNITS // HEADS, []
        query = self.dense(f"{name}/linear_queries", x)
        keys, values = (self.dense(f"{name}/linear_{one}", memory) for one in ("keys", "values"))
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            scores = query[:, own] @ keys[:, own].T / size**0.5
            scores = scores + self.distances(f"{name}/relative_position_keys", query[:, own], True)
            scores = scores if mask is None else np.where(mask, scores, -np.inf)
            powers = np.exp(scores - scores.max(-1, keepdims=True))
            shares = powers / powers.sum(-1, keepdims=True)
            found = self.distances(f"{name}/relative_position_values", shares, False)
            outputs.append(shares @ values[:, own] + found)
        return self.dense(f"{name}/linear_output", np.concatenate(outputs, 1))

    def distances(self, name, rows, as_keys):
        """The contribution of relative positions to a row's scores, or to its output."""
        if name not in self.weights:
            return 0.0
        table, count, made = self.weights[name], len(rows), []
        for i in range(count):
            places = [min(max(j - i, -self.relative), self.relative) for j in range(count)]
            vectors = np.array([table[place + self.relative] for place in places])
            made.append(vectors @ rows[i] / len(rows[i]) ** 0.5 if as_keys else rows[i] @ vectors)
        return np.array(made)


def positions(count):
    """[count, UNITS]: positions 1, 2, ... as sines, then cosines."""
    half = UNITS // 2
    rates = 10000.0 ** (-np.arange(half) / (half - 1))
    angles = np.arange(1, count + 1)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], 1)
