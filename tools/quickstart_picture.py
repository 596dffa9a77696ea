"""Draws the attention of a served model for one text: HOST:PORT MODEL TEXT PNG."""

import sys

from keras_s2s.serving import Client
from keras_s2s.tensorboard.figures import save_attention


def main(server, model, text, path):
    """Asks the server for the best hypothesis and writes where it looked."""
    with Client(server, model) as client:
        best = client.translate([text])[0][0]
    print(save_attention(path, best.alignment, best.source_tokens, best.tokens, text))


if __name__ == "__main__":
    main(*sys.argv[1:])
