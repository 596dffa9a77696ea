"""Run by a Python that has OpenNMT-tf: random models of its own, and what they give.

    PYTHON opennmt_reference.py DIRECTORY

For each name of `MODELS` it writes DIRECTORY/NAME/, a model directory, and DIRECTORY/NAME.npz.
"""

import sys
from pathlib import Path

import numpy as np

SOURCES = ["w0 w3 w6 strange w1", "w2", "w5 w5 w4 w0 w1 w2 w3 w6"]
TARGETS = ["w5 w1", "w4 w4 strange w2", "w0"]
CODE = """import opennmt
word = lambda: opennmt.inputters.WordEmbedder(embedding_size=16)
model = lambda: opennmt.models.Transformer(
    word(), word(), num_units=16, num_heads=2, ffn_inner_dim=24, {})
"""
RECURRENT = """import opennmt
word = lambda: opennmt.inputters.WordEmbedder(embedding_size=12)
model = lambda: opennmt.models.SequenceToSequence(
    word(), word(), opennmt.encoders.{}, opennmt.decoders.AttentionalRNNDecoder(
        num_layers=2, num_units=16, bridge_class=opennmt.layers.CopyBridge, dropout=0.2))
"""
MODELS = {
    "separate": "num_layers=2",
    "inputs": "num_layers=(1, 2), share_embeddings=1",
    "target": "num_layers=2, share_embeddings=2, mha_bias=False",
    "all": "num_layers=1, share_embeddings=3",
    "relative": "num_layers=2, position_encoder_class=None, maximum_relative_position=3",
    "post": "num_layers=2, pre_norm=False, output_layer_bias=False",
    "luong": "RNNEncoder(2, 16)",
}


def main(directory):
    """Writes everything."""
    vocabulary = directory / "v.txt"
    tokens = ["<blank>", "<s>", "</s>", *(f"w{i}" for i in range(7))]
    vocabulary.write_text("\n".join(tokens) + "\n")
    data = {f"{side}_vocabulary": str(vocabulary) for side in ("source", "target")}
    for name, options in MODELS.items():
        (directory / name).mkdir()
        code = RECURRENT if "Encoder" in options else CODE
        (directory / name / "model_description.py").write_text(code.format(options))
        np.savez(directory / f"{name}.npz", **results(directory / name, data))


def results(directory, data):
    """A model's logits, and its greedy output with its log-probabilities."""
    import tensorflow as tf
    from opennmt import config

    model = config.load_model(str(directory))
    model.initialize(data, {"maximum_decoding_length": 12})
    model.create_variables()
    random = np.random.default_rng(5)
    for variable in model.variables:
        if variable.shape.rank:
            centre = float("gamma" in variable.name)
            variable.assign(random.normal(centre, 0.5, variable.shape))
    checkpoint = tf.train.Checkpoint(model=model)
    tf.train.CheckpointManager(checkpoint, str(directory), 1).save(checkpoint_number=3)
    source = model.features_inputter.make_features(tf.constant(SOURCES))
    target = model.labels_inputter.make_features(tf.constant(TARGETS))
    logits = model(source, target, training=False)[0]["logits"]
    found = model(source)[1]
    rows = zip(found["tokens"].numpy()[:, 0], found["length"].numpy()[:, 0], strict=True)
    texts = [b" ".join(t for t in tokens[:length] if t != b"</s>") for tokens, length in rows]
    return {
        "logits": logits.numpy(),
        "texts": np.array([text.decode() for text in texts]),
        "log_probs": found["log_probs"].numpy()[:, 0],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
