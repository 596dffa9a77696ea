"""The process that answers requests with an export."""

import time

import pytest

from keras_s2s.export.verification import session_process
from keras_s2s.export.verification.comparison import VerificationError
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.export.verification.session_process import SessionProcess


@pytest.fixture
def sleeping(tmp_path, monkeypatch):
    """A process that does not answer for a minute."""
    script = tmp_path / "sleeping.py"
    script.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(session_process.session_worker, "__file__", str(script))
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    return SessionProcess(tmp_path, exchange, [build_request("translate", ["a"])])


def test_process_ends_with_its_context(sleeping):
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), sleeping:
        raise KeyboardInterrupt
    assert sleeping._process.poll() is not None
    assert time.monotonic() - start < 50


def test_process_that_does_not_answer_is_reported(sleeping):
    with sleeping, pytest.raises(VerificationError, match="did not answer within 0 s"):
        sleeping.responses(timeout=0.1)
