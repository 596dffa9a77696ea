"""The page as one file: opened from the disk, looked at, compared with pictures kept."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_s2s.tensorboard.attention_records import unpack
from keras_s2s.tensorboard.standalone import MODULES, PAGE, html
from tests.tensorboard.page.browser import Page, coloured, sized
from tests.tensorboard.page.samples import ARABIC, CHINESE, HOSTILE, a_record

PICTURES = Path(__file__).parent / "pictures"
COARSE = 8  # pixels of the screen in one compared: letters of another font are not a difference
TOLERANCE = 5.0  # of 255 levels


def records():
    text = {"text": "The cat sleeps today.", "reference": "The cat is sleeping.", "score": -0.5}
    return [
        *(
            ("run", "first", step, a_record(part=step / 900, seed=step, **text))
            for step in (300, 900)
        ),
        ("run", "second", 900, a_record(ARABIC, CHINESE)),
        ("run", "third", 900, a_record(HOSTILE, HOSTILE, text="</script><b>bold</b>")),
    ]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "attention.html"
    path.write_text(html(records()), "utf-8")
    return path.as_uri()


@pytest.fixture
def page(driver, address):
    sized(driver, 1100, 617)
    driver.get_log("browser")
    page = Page(driver, address)
    yield page
    assert page.errors() == []


def test_file_holds_records_that_no_text_can_leave():
    text = html(records())
    (data,) = re.findall(r'type="application/json">(.*?)</script>', text, re.DOTALL)
    entries = json.loads(data)
    assert [entry["step"] for entry in entries] == [300, 900, 900, 900]
    assert unpack(base64.b64decode(entries[3]["data"])).source_tokens == HOSTILE
    assert text.count("</script>") == 2
    assert "alert(1)</script>" not in text


def test_modules_have_no_name_twice():
    names = re.findall(
        r"^(?:export )?(?:async )?(?:const|let|function|class) ([A-Za-z_]\w*)",
        "\n".join((PAGE / f"{name}.js").read_text() for name in MODULES),
        re.MULTILINE,
    )
    assert sorted(names) == sorted(set(names))  # in the file they are one module


def test_file_loads_nothing():
    text = html([a_record()])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="(?!data:,)', text)


def test_modules_import_only_what_stands_before_them():
    for number, name in enumerate(MODULES):
        text = (PAGE / f"{name}.js").read_text()
        assert set(re.findall(r'from "\./(\w+)\.js"', text)) <= set(MODULES[:number]), name


@pytest.mark.parametrize(
    "given, message", [([], "at least one"), ([3], "expected AttentionRecord")]
)
def test_what_is_no_record_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        html(given)


def test_file_shows_every_record(page):
    assert page.text("h2") == "run · step 900"
    page.choose("Sentence", "third")
    assert page.text(".tokens.row li") == HOSTILE[0]
    assert page.text(".facts") == "Target</script><b>bold</b>"
    assert page.run("return document.querySelectorAll('main script, main img, main b').length") == 0
    page.choose("Sentence", "second")
    assert page.text(".tokens.row li") == "猫"


def test_file_without_records_of_two_steps_cannot_be_played(page):
    page.choose("Sentence", "second")
    assert not page.one(".play").is_enabled()
    page.choose("Sentence", "first")
    assert page.one(".play").is_enabled()


def lines(page):
    page.choose("Head", "=layer 1 head 1")


def matrix(page):
    lines(page)
    page.click("input[value=matrix]")


def compare(page):
    page.click(".check input")


def dark(page):
    lines(page)
    page.act(lambda: coloured(page.driver, "dark"))


VIEWS = {"lines": lines, "matrix": matrix, "compare": compare, "dark": dark}


def screenshot(page):
    page.settle()
    return Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")


def difference(one, other):
    """Mean difference of two screenshots, coarsely: where they differ most, in a part of 20."""
    size = (one.width // COARSE, one.height // COARSE)
    small = [np.asarray(image.resize(size, Image.Resampling.BOX), float) for image in (one, other)]
    apart = abs(small[0] - small[1]).mean(-1)
    bands = (part for band in np.array_split(apart, 4) for part in np.array_split(band, 5, axis=1))
    return max(part.mean() for part in bands)


def kept(name):
    return Image.open(PICTURES / f"{name}.png").convert("RGB")


@pytest.mark.parametrize("name", VIEWS)
def test_page_looks_as_it_did(page, name, tmp_path):
    VIEWS[name](page)
    shot = screenshot(page)
    shot.save(tmp_path / f"{name}.png")
    assert shot.size == kept(name).size
    assert difference(shot, kept(name)) < TOLERANCE, f"compare {tmp_path}/{name}.png"


def other_head(page):
    page.choose("Head", "=layer 1 head 3")


def without_heads(page):
    lines(page)
    page.run("document.querySelector('.side').style.visibility = 'hidden'")


def lower_by_a_line(page):
    lines(page)
    page.run("document.querySelector('.facts').style.marginTop = '30px'")


@pytest.mark.parametrize("change", [other_head, without_heads, lower_by_a_line])
def test_tolerance_can_fail(page, change):
    change(page)
    shot = screenshot(page)
    for name in VIEWS:
        assert difference(shot, kept(name)) > 1.5 * TOLERANCE, name


def test_pictures_kept_are_small():
    assert {path.stem for path in PICTURES.iterdir()} == set(VIEWS)
    assert all(path.stat().st_size < 100_000 for path in PICTURES.iterdir())
