"""`Seq2Seq`: its call, steps, loss and metrics."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import models
from keras_s2s.config import ModelConfig
from keras_s2s.decoders import RecurrentDecoder, TransformerDecoder
from keras_s2s.encoders import RecurrentEncoder, TransformerEncoder
from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    SoftmaxHead,
)
from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.metrics import Perplexity, TokenAccuracy
from keras_s2s.models.seq2seq import Seq2Seq
from tests import references
from tests.references import assert_close, randomise, right_padded

ROOT = Path(__file__).resolve().parents[2]
SOURCE_SIZE, V, WIDTH, S, T = 9, 7, 8, 5, 4
SOURCES, TARGETS = [5, 3, 1], [4, 2, 3]
FAMILIES = ["recurrent", "transformer"]


def make_model(
    family="recurrent", copies=False, tie="none", layers=1, seed=0, policy="float32", **more
):
    """A tiny model with random weights."""
    if family == "recurrent":
        encoder = RecurrentEncoder(4, layers, dtype=policy)
        decoder = RecurrentDecoder(WIDTH, layers, dtype=policy)
    else:
        encoder = TransformerEncoder(WIDTH, layers, 2, 12, dropout=0.0, dtype=policy)
        decoder = TransformerDecoder(WIDTH, layers, 2, 12, dropout=0.0, dtype=policy)
    source, target = TokenEmbedding(SOURCE_SIZE, WIDTH), TokenEmbedding(V, WIDTH)
    head = PointerGeneratorHead(V) if copies else SoftmaxHead(V)
    model = Seq2Seq(source, encoder, target, decoder, head, tie, dtype=policy, **more)
    model.build()
    return randomise(model, seed, 0.3)


def batch(seed=0):
    """x, y and sample_weight of three padded rows, for every model of this file."""
    rng = np.random.default_rng(seed)
    mask, real = right_padded(SOURCES, S), right_padded(TARGETS, T)
    ids = np.where(mask, rng.integers(4, V, (3, S)), 0).astype("int32")
    source = {"ids": ids, "mask": mask, "copy_ids": ids}
    y = np.where(real, rng.integers(3, V, (3, T)), 0).astype("int32")
    target = np.concatenate([np.full((3, 1), 2), y[:, :-1]], 1).astype("int32")
    return {"source": source, "target": target}, y, real.astype("float32")


def mean_loss(logits, y, weights, smoothing=0.0):
    total = references.smoothed_cross_entropy(np.asarray(logits), y, weights, smoothing, V)
    return total / weights.sum()


def compile_model(model, rate=0.1, **options):
    model.compile(keras.optimizers.SGD(rate), **options)
    return model


def compile_eager(model, **options):
    """Compiled to run eagerly, which is faster for one batch."""
    return compile_model(model, run_eagerly=True, **options)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits(family, copies):
    model, (x, _, _) = make_model(family, copies), batch()
    logits = model(x)
    assert logits.shape == (3, T, V + S if copies else V)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()
    assert model.supports_copy == copies
    assert model.vocabulary_size == V
    assert not hasattr(logits, "_keras_mask")


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_maps(family, copies):
    model, (x, _, _) = make_model(family, copies, layers=2), batch()
    logits = model(x)
    one = model(x, maps="alignment")
    every = model(x, maps="all")
    for given in (one, every):
        assert set(given) == {"logits", "attention"}
        assert_close(given["logits"], logits, 1e-6)
    shapes = {name: tuple(maps.shape) for name, maps in every["attention"].items()}
    if family == "recurrent":
        assert shapes == {"cross": (3, 1, T, S)}
    else:
        assert shapes == {"cross": (3, 4, T, S), "self": (3, 4, T, T), "encoder": (3, 4, S, S)}
    assert {name: tuple(maps.shape) for name, maps in one["attention"].items()} == {
        "cross": (3, 1, T, S)
    }
    padding = ~right_padded(SOURCES, S)
    cross = one["attention"]["cross"].numpy().transpose(0, 3, 1, 2)  # [B, S, 1, T]
    np.testing.assert_array_equal(cross[padding], 0.0)
    assert_close(cross.sum(1), np.ones((3, 1, T)))


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_begin_and_next_equal_the_call(family, copies):
    model, (x, _, _) = make_model(family, copies), batch()
    whole = model(x, maps="alignment")
    context, state = model.begin(x["source"], 2, max_length=T)
    for t in range(T):
        ids = tf.repeat(x["target"][:, t : t + 1], 2, 1)
        log_probs, new, alignment = model.next(ids, tf.constant(t), context, state)
        without, _, nothing = model.next(ids, tf.constant(t), context, state, maps="none")
        assert nothing is None
        assert_close(without, log_probs, 1e-6)
        expected = tf.nn.log_softmax(whole["logits"][:, t]), whole["attention"]["cross"][:, 0, t]
        assert_close((log_probs[:, 1], alignment[:, 1]), expected)
        state = new


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("copies", [False, True])
def test_loss_is_the_mean_over_real_tokens(copies, smoothing):
    model, (x, y, weights) = make_model(copies=copies, label_smoothing=smoothing), batch()
    loss = compile_eager(model).evaluate(x, y, sample_weight=weights, verbose=0)
    logits = model(x)
    assert_close(loss, mean_loss(logits, y, weights, smoothing))
    wide = np.pad(y, [(0, 0), (0, 2)]), np.pad(weights, [(0, 0), (0, 2)])
    longer = tf.pad(logits, [[0, 0], [0, 2], [0, 0]], constant_values=3.0)
    assert_close(model.compute_loss(x, wide[0], longer, wide[1]), loss)


def test_sample_weights_of_every_form():
    model, (x, y, weights) = compile_model(make_model()), batch()
    logits = model(x)

    def loss(w):
        return model.compute_loss(x, y, logits, w)

    assert_close(loss(None), mean_loss(logits, y, np.ones((3, T))))
    assert_close(loss(weights * 2), mean_loss(logits, y, weights))
    rows = np.array([1.0, 0.0, 2.0])
    assert_close(loss(rows), mean_loss(logits, y, np.tile(rows[:, None], (1, T))))
    assert_close(loss(tf.cast(weights, tf.int32)), mean_loss(logits, y, weights))
    assert loss(np.zeros((3, T))) == 0.0


def test_a_loss_of_compile_is_used():
    user = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model, (x, y, weights) = compile_eager(make_model(label_smoothing=0.3), loss=user), batch()
    loss = model.evaluate(x, y, sample_weight=weights, verbose=0)
    assert_close(loss, mean_loss(model(x), y, weights) * weights.sum() / weights.size)
    assert_close(model.compute_loss(x, y, {"logits": model(x)}, weights), loss)


def test_losses_of_layers_are_added():
    model, (x, y, weights) = compile_eager(make_model()), batch()
    plain = model.evaluate(x, y, sample_weight=weights, verbose=0)
    model.head.projection.kernel_regularizer = keras.regularizers.L2(0.5)
    model.head.projection.kernel.regularizer = model.head.projection.kernel_regularizer
    more = 0.5 * np.sum(model.head.projection.kernel.numpy() ** 2)
    again = compile_eager(model).evaluate(x, y, sample_weight=weights, verbose=0)
    assert_close(again, plain + more)


def test_metrics_see_the_logits():
    model, (x, y, weights) = make_model(), batch()
    compile_eager(
        model, metrics=["accuracy"], weighted_metrics=[TokenAccuracy("tokens"), Perplexity()]
    )
    given = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    logits = model(x)
    right = logits.numpy().argmax(-1) == y
    assert_close(given["tokens"], (right * weights).sum() / weights.sum())
    assert_close(given["accuracy"], right.mean())
    assert_close(given["perplexity"], np.exp(mean_loss(logits, y, weights)), 1e-4)


def test_outputs_with_maps_have_the_same_loss_and_metrics():
    model, (x, y, weights) = (
        compile_model(make_model(), weighted_metrics=[TokenAccuracy("tokens")]),
        batch(),
    )
    with_maps = model(x, maps="all")
    for outputs in (with_maps, with_maps["logits"]):
        model.reset_metrics()
        found = model.compute_metrics(x, y, outputs, weights)
        right = with_maps["logits"].numpy().argmax(-1) == y
        assert_close(found["tokens"], (right * weights).sum() / weights.sum())
        assert_close(
            model.compute_loss(x, y, outputs, weights), mean_loss(with_maps["logits"], y, weights)
        )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_skipping_clusters_without_targets_does_not_change_the_update(policy):
    (x, y, weights), found = batch(), {}
    for skips in (True, False):
        parts = TokenEmbedding(V, 8), RecurrentEncoder(8, dtype=policy), TokenEmbedding(V, 8)
        decoder, head = RecurrentDecoder(8, dtype=policy), AdaptiveSoftmaxHead(V, [5, 8], 2)
        model = Seq2Seq(*parts, decoder, head, label_smoothing=0.1, dtype=policy)
        model.build()
        randomise(model)
        head.supports_target_log_probs = skips
        compile_model(model, weighted_metrics=[Perplexity()]).configure_updates(1)
        history = model.fit(
            x, y, sample_weight=weights, batch_size=len(y), epochs=2, verbose=0, shuffle=False
        ).history
        outputs = model._training_outputs(x, y, weights)
        assert isinstance(outputs, dict) == skips
        expected = mean_loss(model(x), y, weights)
        tolerance = 1e-5 if policy == "float32" else 5e-2
        assert_close(model.compute_loss(x, y, outputs, weights), expected, tolerance)
        found[skips] = [history["loss"], history["perplexity"], *model.get_weights()]
    for one, other in zip(found[True], found[False], strict=True):
        assert_close(one, other, 1e-4 if policy == "float32" else 5e-2)


FAST = [("recurrent", "mixed_float16"), ("transformer", "mixed_bfloat16")]
FITS = [(f, p) for p in ("float32", "mixed_bfloat16", "mixed_float16") for f in FAMILIES]


@pytest.mark.parametrize(
    ("family", "policy"),
    [pytest.param(*case, marks=[] if case in FAST else pytest.mark.slow) for case in FITS],
)
def test_fit_lowers_the_loss_under_every_policy(family, policy):
    model, (x, y, weights) = compile_model(make_model(family, policy=policy), 0.5), batch()
    data = tf.data.Dataset.from_tensors((x, y, weights)).repeat()
    losses = model.fit(data, steps_per_epoch=5, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[1] < 0.9 * losses[0]
    assert all(np.isfinite(w).all() and w.dtype == np.float32 for w in model.get_weights())
    assert model(x).dtype == tf.float32


@pytest.mark.slow
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_fit_under_xla(family, copies):
    options = {"copies": copies, "layers": 2}
    plain, xla, (x, y, weights) = (
        make_model(family, **options),
        make_model(family, **options),
        batch(),
    )
    losses = [
        compile_model(model, jit_compile=jit)
        .fit(x, y, sample_weight=weights, epochs=3, shuffle=False, verbose=0)
        .history["loss"]
        for model, jit in ((plain, False), (xla, True))
    ]
    assert_close(losses[1], losses[0], 1e-4)
    assert_close(xla(x), plain(x), 1e-3)


@pytest.mark.slow
def test_fit_under_xla_with_dropout_in_the_loop():
    x, y, weights = batch()
    sizes = {"units": 4, "num_layers": 2, "dropout": 0.3}
    model = models.build(ModelConfig(encoder=sizes, decoder=sizes), SOURCE_SIZE, V)
    loss = compile_model(model, jit_compile=True).train_on_batch(x, y, sample_weight=weights)
    assert np.isfinite(loss)


def test_a_model_builds_itself_from_the_first_batch():
    model, (x, y, weights) = make_model(), batch()
    fresh = Seq2Seq.from_config(model.get_config())
    compile_model(fresh).train_on_batch(x, y, sample_weight=weights)
    assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]


def test_a_tied_table_is_one_variable_with_gradients_from_both_uses():
    model, (x, y, _) = make_model(tie="output"), batch()
    table = model.target.table

    def gradient(stopped):
        with tf.GradientTape() as tape:
            ids = x["target"]
            memory, context = model.encode(x["source"])
            embedded = model.target.embed(ids, context)
            embedded = tf.stop_gradient(embedded) if stopped else embedded
            outputs, _ = model.decoder(embedded, context)
            loss = model.compute_loss(x, y, model.head(outputs, embedded, None, context), None)
        return tf.convert_to_tensor(tape.gradient(loss, table.value))

    compile_model(model)
    both, output_only = gradient(False).numpy(), gradient(True).numpy()
    assert np.abs(output_only).max() > 1e-4
    unread = [i for i in range(V) if i not in x["target"]]
    read = sorted(set(x["target"].ravel()))
    assert_close(both[unread], output_only[unread], 1e-6)
    assert np.abs(both[read] - output_only[read]).max(1).min() > 1e-6


@pytest.mark.parametrize(
    ("tie", "tables"), [("none", 3 * V + 2), ("output", 2 * V + 2), ("all", V)]
)
def test_tied_tables_are_counted_once(tie, tables):
    """Tables of V rows; untied the source has two rows more and the head is a table too."""
    source, target = TokenEmbedding(V if tie == "all" else V + 2, WIDTH), TokenEmbedding(V, WIDTH)
    parts = RecurrentEncoder(4), RecurrentDecoder(WIDTH)
    model = Seq2Seq(source, parts[0], target, parts[1], SoftmaxHead(V), tie)
    model.build()
    rest = sum(part.count_params() for part in parts) + V
    assert model.count_params() == rest + tables * WIDTH
    assert (model.source is model.target) == (tie == "all")
    model.summary(print_fn=lambda text: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tie": "both"}, "tie: expected 'none', 'output' or 'all', got 'both'"),
        (
            {"tie": "all"},
            "tie: 'all' needs one vocabulary for both sides, got 9 and 7 tokens",
        ),
        ({"label_smoothing": 1.0}, "label_smoothing: expected 0 <= e < 1, got 1.0"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


def test_tie_of_another_width():
    parts = TokenEmbedding(V, 6), RecurrentEncoder(4), TokenEmbedding(V, 6), RecurrentDecoder(8)
    message = "tie: expected a target embedding of the decoder's width 8, got 6"
    with pytest.raises(ValueError, match=message):
        Seq2Seq(*parts, SoftmaxHead(V), "output")


def test_a_pointer_network_needs_head_and_embedding():
    parts = TokenEmbedding(V, 4), RecurrentEncoder(4, bidirectional=False)
    decoder = RecurrentDecoder(4)
    tokens, places = TokenEmbedding(4, 4), PointerEmbedding(4)
    with pytest.raises(ValueError, match="target: expected a PointerEmbedding .* a TokenEmbedding"):
        Seq2Seq(*parts, tokens, decoder, PointerNetworkHead())
    with pytest.raises(ValueError, match="head: expected a PointerNetworkHead .* a SoftmaxHead"):
        Seq2Seq(*parts, places, decoder, SoftmaxHead(4))
    with pytest.raises(ValueError, match="memory_units of the encoder's width 4, got 6"):
        Seq2Seq(*parts, PointerEmbedding(4, 6), decoder, PointerNetworkHead())
    model = Seq2Seq(*parts, places, decoder, PointerNetworkHead(), label_smoothing=0.1)
    assert model.smoothing == 0.0


def test_another_backend_raises_an_error(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND: expected 'tensorflow', got 'jax'"):
        make_model()


REPLICAS = """
import numpy as np, tensorflow as tf, keras
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_s2s.metrics import Perplexity
from tests.models import test_seq2seq as t
from tests.references import assert_close

x, y, weights = tf.nest.map_structure(lambda a: np.concatenate([a[:2], a[1::-1]]), t.batch())
data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(4)
alone = t.compile_model(t.make_model(FAMILY), weighted_metrics=[Perplexity()])
before = t.mean_loss(alone(x), y, weights)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = t.compile_model(t.make_model(FAMILY), weighted_metrics=[Perplexity()])
for fitted in (alone, model):
    history = fitted.fit(data, shuffle=False, verbose=0).history
    assert_close(history["loss"][0], before)
    assert_close(history["perplexity"][0], np.exp(before), 1e-4)
assert_close(model.evaluate(data, verbose=0), alone.evaluate(data, verbose=0))
for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
    assert_close(a, b)
print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_replicas_equal_one(family):
    """Both replicas get the same number of tokens, so that their mean is the batch's mean."""
    code = REPLICAS.replace("FAMILY", repr(family))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("equal\n"), done.stderr[-3000:]
