"""`python -m keras_s2s` is the `keras-s2s` command."""

import sys

from keras_s2s.cli import main

if __name__ == "__main__":
    sys.exit(main())
