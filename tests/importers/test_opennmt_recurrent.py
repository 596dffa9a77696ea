"""Import of OpenNMT-tf LSTM models with Luong attention: outputs match the formulas."""

import numpy as np
import pytest

from keras_s2s import Translator
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import read
from keras_s2s.importers.opennmt.model_description import read_description
from keras_s2s.importers.opennmt.run_import import import_run
from tests.importers.checkpoints import SIZE, random_weights, save
from tests.importers.test_opennmt_runs import OURS, SOURCES, TARGETS, our_logits, their_ids
from tests.references import sigmoid, softmax

UNITS, EMBEDDING, LAYERS = 8, 6, 2
ENCODERS = {"with dropout": "rnn/rnn/cell/cells/{}/layer", "without": "rnn/rnn/cell/cells/{}"}
DESCRIPTION = """import opennmt
decoder = opennmt.decoders.AttentionalRNNDecoder(2, 8, bridge_class=opennmt.layers.CopyBridge{})
"""


def shapes(encoder):
    """The shape of every variable, by its name starting with `model/`."""
    made = {
        "decoder/attention_mechanism/memory_layer/kernel": [UNITS, UNITS],
        "decoder/cell/_attention_layers/0/kernel": [2 * UNITS, UNITS],
        "decoder/output_layer/kernel": [UNITS, SIZE],
        "decoder/output_layer/bias": [SIZE],
    }
    for side in ("features", "labels"):
        made[f"examples_inputter/{side}_inputter/embedding"] = [SIZE, EMBEDDING]
    for layer in range(LAYERS):
        reader, writer = ENCODERS[encoder].format(layer), f"cell/_cell/cells/{layer}/layer"
        for name, fed in ((f"encoder/{reader}", 0), (f"decoder/{writer}", UNITS)):
            made[f"{name}/kernel"] = [UNITS if layer else EMBEDDING + fed, 4 * UNITS]
            made[f"{name}/recurrent_kernel"] = [UNITS, 4 * UNITS]
            made[f"{name}/bias"] = [4 * UNITS]
    return made


class Forward:
    """The model in NumPy, one row at a time, on OpenNMT-tf ids.

    Luong et al. 2015, arXiv:1508.04025, equation 5 and section 3.3, with the general score; Keras's
    LSTM, whose gates stand as i, f, c, o.
    """

    def __init__(self, weights, encoder):
        self.weights, self.encoder = weights, ENCODERS[encoder]

    def cell(self, name, x, state):
        gates = x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]
        gates = gates + state[0] @ self.weights[f"{name}/recurrent_kernel"]
        enter, forget, new, leave = np.split(gates, 4)
        memory = sigmoid(forget) * state[1] + sigmoid(enter) * np.tanh(new)
        return sigmoid(leave) * np.tanh(memory), memory

    def read(self, ids):
        """The memory [S, U], and the last state of every layer."""
        x, states = self.weights["examples_inputter/features_inputter/embedding"][ids], []
        for layer in range(LAYERS):
            state, outputs = (np.zeros(UNITS), np.zeros(UNITS)), []
            for vector in x:
                state = self.cell(f"encoder/{self.encoder.format(layer)}", vector, state)
                outputs.append(state[0])
            x = np.array(outputs)
            states.append(state)
        return x, states

    def logits(self, source, target):
        """[T, V] of source ids, and target ids that begin with <s>."""
        memory, states = self.read(source)
        keys = memory @ self.weights["decoder/attention_mechanism/memory_layer/kernel"]
        table, fed = self.weights["examples_inputter/labels_inputter/embedding"], np.zeros(UNITS)
        found = []
        for token in target:
            x = np.concatenate([table[token], fed])
            for layer in range(LAYERS):
                name = f"decoder/cell/_cell/cells/{layer}/layer"
                states[layer] = self.cell(name, x, states[layer])
                x = states[layer][0]
            context = softmax(keys @ x) @ memory
            readout = self.weights["decoder/cell/_attention_layers/0/kernel"]
            fed = np.tanh(np.concatenate([x, context]) @ readout)
            found.append(fed)
        kernel, bias = (self.weights[f"decoder/output_layer/{x}"] for x in ("kernel", "bias"))
        return np.array(found) @ kernel + bias


@pytest.fixture
def make(tmp_path):
    """Function that writes a model directory and imports it; returns (weights, run)."""

    def made(encoder="with dropout", description=DESCRIPTION.format(""), change=None, **more):
        directory, run = tmp_path / "model", tmp_path / "run"
        directory.mkdir()
        weights = random_weights((change or (lambda of: of))(shapes(encoder)))
        save(directory, weights)
        (directory / "model_description.py").write_text(description)
        import_run(directory, run, read([directory / "config.yml"]), **more)
        return weights, run

    return made


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_logits_match_numpy(make, encoder):
    weights, run = make(encoder)
    translator = Translator.load(run)
    logits = our_logits(translator, SOURCES, TARGETS).numpy()
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        ids = [1, *their_ids(target)]
        expected = Forward(weights, encoder).logits(their_ids(source), ids)[:, OURS]
        np.testing.assert_allclose(logits[row, : len(ids)], expected, atol=2e-5)
    assert len(translator.translate(SOURCES, max_length=5)) == 2
    model = Config.load(run / "config.yml").model
    assert not model.encoder["bidirectional"]
    assert model.decoder["kind"] == "luong"


@pytest.mark.parametrize(
    ("more", "setting"),
    [
        (", attention_layer_activation=None", "attention_layer_activation=None"),
        (", residual_connections=True", "residual_connections=True"),
        (", first_layer_attention=True", "first_layer_attention=True"),
        (", attention_mechanism_class=tfa.seq2seq.BahdanauAttention", "attention_mechanism_class="),
        (", cell_class=tf.keras.layers.GRUCell", "cell_class=tf.keras.layers.GRUCell"),
    ],
)
def test_unsupported_decoder_settings_are_named(make, tmp_path, more, setting):
    with pytest.raises(UserError, match=f"expected Luong's model as it is, got {setting}"):
        make(description=DESCRIPTION.format(more))
    assert not (tmp_path / "run").exists()


def test_supported_decoder_settings(tmp_path):
    more = ", residual_connections=False, attention_layer_activation=tf.math.tanh"
    (tmp_path / "model_description.py").write_text(DESCRIPTION.format(more))
    assert read_description(tmp_path).unsupported is None


def test_model_type_without_tanh_is_refused(make):
    with pytest.raises(UserError, match="got NMTSmallV1; there are no parts here"):
        make(description="", model_type="NMTSmallV1")


def test_other_encoder_is_refused(make):
    def stacks(of):
        return {name.replace("rnn/cell", "rnn/forward_layer/cell"): x for name, x in of.items()}

    with pytest.raises(UserError, match="expected an RNNEncoder of one direction and as many"):
        make(change=stacks)
