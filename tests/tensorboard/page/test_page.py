"""The page in a real browser, by TensorBoard's server: every control, and what goes wrong."""

import json
import time

import pytest

from keras_s2s.tensorboard.attention_records import write
from tests.tensorboard.page.browser import PLUGIN, Page, sized, until
from tests.tensorboard.page.samples import CHINESE, ENGLISH, GERMAN, a_record

UP, DOWN, LEFT, RIGHT = "\ue013", "\ue015", "\ue012", "\ue014"
TAB, ENTER, ESCAPE, HOME, END, SPACE = "\ue004", "\ue007", "\ue00c", "\ue011", "\ue010", " "
TITLES = "return [...document.querySelectorAll('.panel:not([hidden]) h2')].map(e => e.textContent)"


@pytest.fixture
def page(driver, server):
    """The page at the run `large`; the console must be clean when the test ends."""
    sized(driver, 1280, 760)
    driver.get_log("browser")
    page = Page(driver, f"{server}/{PLUGIN}/index.html")
    page.choose("Run", "large")
    yield page
    assert page.errors() == []


def titles(page):
    return page.run(TITLES)


def readout(page):
    return page.text(".readout")


def point(page, selector, at=0):
    move = "const e = document.querySelectorAll(arguments[0])[arguments[1]];"
    move += "e.scrollIntoView({block: 'center'});"
    move += "e.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    page.run(move, selector, at)
    page.frames()


def ink(page, selector):
    """How much of a canvas is painted, and a sum that tells pictures apart."""
    script = """
        const canvas = document.querySelector(arguments[0]);
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let [painted, sum] = [0, 0];
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3]) painted++;
            for (let j = i; j < i + 4; j++) sum = (sum * 31 + data[j]) % 1000003;
        }
        return [painted, sum];
    """
    return page.run(script, selector)


def test_first_picture_is_the_last_step(page):
    assert titles(page) == ["large · step 1500"]
    assert page.text(".facts").startswith("TargetThe cat sleeps.ReferenceThe cat slept.Score−1.250")
    assert [e.text for e in page.all(".tokens.row li")] == list(ENGLISH)
    assert [e.text for e in page.all(".tokens.column li")] == list(GERMAN)
    assert ink(page, ".lines")[0] > 1000
    assert len(page.all(".head")) == 8


def test_run_and_sentence(page):
    page.choose("Sentence", "attention/1")
    assert [e.text for e in page.all(".tokens.row li")] == list(CHINESE)
    page.choose("Sentence", "attention/0")
    page.choose("Run", "small")
    assert titles(page) == ["small · step 1500"]
    assert len(page.all(".head")) == 4


def test_steps_by_the_keyboard_and_played(page):
    before = ink(page, ".lines")
    page.act(lambda: page.one("input[aria-label=Step]").send_keys(HOME))
    assert titles(page) == ["large · step 500"]
    assert page.one("input[aria-label=Step]").get_attribute("aria-valuetext") == "step 500"
    assert ink(page, ".lines") != before
    page.one(".play").click()
    seen = set()
    until(lambda: seen.update(titles(page)) or len(seen) == 3, 10)
    assert page.one(".play").get_attribute("aria-pressed") == "true"
    page.one(".play").click()
    page.frames()
    stopped = titles(page)
    time.sleep(1.0)
    assert titles(page) == stopped
    assert page.one(".play").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("kind, rows, columns", [("self", 13, 13), ("encoder", 16, 16)])
def test_kinds_of_attention(page, kind, rows, columns):
    page.click(f"input[value={kind}]")
    assert len(page.all(".tokens.row li")) == rows
    assert len(page.all(".tokens.column li")) == columns


def test_heads_by_menu_by_pointer_and_by_keyboard(page):
    pictures = {ink(page, ".lines")[1]}
    page.choose("Head", "=layer 2 head 1")
    pictures.add(ink(page, ".lines")[1])
    assert page.one(".head[aria-selected=true]").get_attribute("aria-label") == "layer 2 head 1"
    page.act(page.all(".head")[2].click)
    pictures.add(ink(page, ".lines")[1])
    page.keys(".head[tabindex='0']", DOWN)
    focused = "return document.activeElement.getAttribute('aria-label')"
    assert page.run(focused) == "layer 2 head 3"
    page.keys(".head:focus", LEFT)
    page.act(lambda: page.one(".head:focus").send_keys(ENTER))
    pictures.add(ink(page, ".lines")[1])
    assert page.run("return document.querySelector('select[aria-label=Head]').value") == (
        "=layer 2 head 2"
    )
    page.choose("Head", "~layer 1")
    pictures.add(ink(page, ".lines")[1])
    assert len(page.all(".head[aria-selected=true]")) == 4
    assert len(pictures) == 5


def test_scale(page):
    assert page.text(".scale") != "01.00"
    page.click("input[value=one]")
    assert page.text(".scale") == "01.00"


def test_pointing_at_a_token_shows_where_it_looks(page):
    page.choose("Head", "=layer 1 head 1")
    point(page, ".tokens.row li", 5)
    assert readout(page).startswith("\u2068▁the\u2069 looks at \u2068▁dem\u2069")
    assert ink(page, ".lines + .lines")[0] > 100
    assert page.all(".tokens.row li")[5].get_attribute("aria-selected") == "true"
    weights = "return [...document.querySelectorAll('.tokens.column li')]"
    weights += ".map(e => Number(e.style.getPropertyValue('--weight')))"
    shaded = page.run(weights)
    assert max(shaded) == shaded[7] > 0.2
    point(page, ".tokens.column li", 0)
    assert readout(page).startswith("\u2068▁Die\u2069 is seen by \u2068▁The\u2069")


def test_tokens_by_the_keyboard_and_kept(page):
    page.keys(".tokens.row li[tabindex='0']", DOWN)
    page.keys(".tokens.row li:focus", DOWN)
    assert readout(page).startswith("\u2068▁that\u2069 looks at")
    page.keys(".tokens.row li:focus", ENTER)
    page.run("document.querySelector('.bipartite').dispatchEvent(new PointerEvent('pointerleave'))")
    page.frames()
    assert readout(page).startswith("\u2068▁that\u2069 looks at")
    page.keys("body", ESCAPE)
    assert readout(page).startswith("Point at a token")
    page.keys(".tokens.row li[tabindex='0']", RIGHT)
    assert page.run("return document.activeElement.parentElement.dataset.side") == "column"


def test_matrix_by_the_keyboard_and_by_pointer(page):
    page.choose("Head", "=layer 1 head 1")
    page.click("input[value=matrix]")
    assert ink(page, ".matrix canvas")[0] > 10000
    page.keys(".over", DOWN)
    assert readout(page).startswith("\u2068▁The\u2069 → \u2068▁Die\u2069: ")
    page.keys(".over", DOWN + RIGHT)
    assert readout(page).startswith("\u2068▁cat\u2069 → \u2068▁Kat\u2069: ")
    assert ink(page, ".over")[0] > 100
    move = "const c = document.querySelector('.over'), box = c.getBoundingClientRect();"
    move += "c.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,"
    move += "clientX: box.right - 4, clientY: box.bottom - 4}))"
    page.run(move)
    page.frames()
    assert readout(page).startswith("\u2068</s>\u2069 → \u2068</s>\u2069: ")


def test_two_steps_and_two_runs_side_by_side(page):
    page.click(".check input")
    assert titles(page) == ["large · step 1500", "large · step 500"]
    scales = "return [...document.querySelectorAll('.scale')].map(e => e.textContent)"
    assert len(set(page.run(scales))) == 1
    page.act(lambda: page.one("input[aria-label='Other step']").send_keys(RIGHT))
    assert titles(page) == ["large · step 1500", "large · step 1000"]
    page.choose("Other run", "small")
    assert titles(page) == ["large · step 1500", "small · step 1500"]
    point(page, ".panel:nth-child(2) .tokens.row li", 1)
    told = "return [...document.querySelectorAll('.readout')].map(e => e.textContent.slice(1, 5))"
    assert page.run(told) == ["▁cat", "▁cat"]
    page.click(".check input")
    assert titles(page) == ["large · step 1500"]


def test_a_panel_says_what_it_shows(page):
    what = "return [...document.querySelectorAll('.panel:not([hidden]) .what')].map(e => "
    what += "e.textContent)"
    assert page.run(what) == ["Cross attention · mean of all 8 heads"]
    page.choose("Head", "~layer 2")
    assert page.run(what) == ["Cross attention · mean of 4 heads of layer 2"]
    page.choose("Head", "=layer 2 head 3")
    page.click("input[value=self]")
    assert page.run(what) == ["Decoder self attention · mean of all 8 heads"]


def test_a_run_without_such_attention_says_so_beside_one_that_has_it(page):
    page.choose("Sentence", "attention/7")
    page.click(".check input")
    page.choose("Other run", "run")
    page.click("input[value=self]")
    assert page.text(".panel:nth-child(2) .error") == "This run has no decoder self attention."
    assert titles(page) == ["large · step 5", "run · step 5"]
    page.click("input[value=cross]")
    assert not page.one(".panel:nth-child(2) .error").is_displayed()


def test_a_sentence_without_tokens_says_so(page):
    page.choose("Run", "run")
    page.choose("Sentence", "attention/8")
    assert page.text(".stage") == "There are no tokens on a side of this sentence."
    assert not page.one("button[aria-label='Download SVG']").is_displayed()
    page.choose("Sentence", "attention/7")
    assert page.one("button[aria-label='Download SVG']").is_displayed()
    assert len(page.all(".tokens.row li")) == len(ENGLISH)


def test_legend_is_of_lines_or_of_colours(page):
    legend = "return document.querySelector('.scale').getAttribute('aria-label')"
    assert page.run(legend).startswith("Lines from 0 to 0.")
    widths = "return [...document.querySelectorAll('.scale path')].map(e => "
    widths += "Number(e.getAttribute('stroke-width')))"
    assert page.run(widths) == sorted(page.run(widths))
    page.click("input[value=one]")
    assert page.run(legend) == "Lines from 0 to 1.00"
    page.click("input[value=matrix]")
    assert page.run(legend) == "Colours from 0 to 1.00"


def test_a_label_of_the_matrix_has_its_whole_token_as_tip(page):
    page.choose("Sentence", "attention/2")
    page.click("input[value=matrix]")
    move = "const c = document.querySelector('.over'), box = c.getBoundingClientRect();"
    move += "c.dispatchEvent(new PointerEvent('pointermove', {bubbles: true,"
    move += "clientX: box.left + 30, clientY: box.bottom - arguments[0]})); return c.title"
    height = page.run("return document.querySelector('.over').getBoundingClientRect().height")
    tips = [page.run(move, y) for y in range(6, int(height), 12)]
    assert "</script><img src=x onerror=alert(2)>" in tips
    assert len(set(tips) - {""}) > 4


def test_hostile_tokens_are_text(page):
    expected = ["<script>alert(1)</script>", '"quo\'tes"', "new↵line", "[U+202E]evil[U+202C]"]
    expected += ["</script><img src=x onerror=alert(2)>", "&amp;", "∅", "␣␣"]
    page.choose("Sentence", "attention/2")
    script = "return [...document.querySelectorAll('.tokens.row li')].map(e => e.textContent)"
    assert page.run(script) == expected
    assert page.text(".facts") == "Target<b>bold</b>"
    point(page, ".tokens.row li", 3)
    assert "[U+202E]evil[U+202C]" in readout(page)
    page.click("input[value=matrix]")
    page.keys(".over", DOWN)
    assert page.run("return document.querySelectorAll('main script, main img, main b').length") == 0


def test_right_to_left_columns_stand_in_reading_order(page):
    page.choose("Sentence", "attention/1")
    page.click("input[value=matrix]")
    page.keys(".over", DOWN)
    assert readout(page).startswith("\u2068猫\u2069 → \u2068▁جلست\u2069")
    page.keys(".over", LEFT)
    assert readout(page).startswith("\u2068猫\u2069 → \u2068▁القطة\u2069")


def test_malformed_events_are_told_and_harm_nothing(page):
    page.choose("Run", "worn")
    assert titles(page) == ["worn · step 1"]
    for tag in ("cut", "nothing", "number", "several"):
        page.choose("Sentence", tag)
        assert page.text(".panel .error")
        assert page.one(".panel .error").is_displayed()
        page.choose("Sentence", "good")
        assert titles(page) == ["worn · step 0"]
        assert not page.one(".panel .error").is_displayed()
    refused = [entry for entry in page.errors() if "422" in entry["message"]]
    assert len(refused) >= 4


def test_new_steps_come_with_refresh(page, logs):
    write(logs / "small", "attention/4", a_record(), 100)
    page.choose("Run", "small")

    def refreshed():
        page.click(".bar > button")
        options = "return [...document.querySelector('select[aria-label=Sentence]').options].length"
        return page.run(options) == 2

    until(refreshed, 30)


def test_every_control_is_reached_by_tab(page):
    page.one("select[aria-label=Run]").send_keys("")
    page.run("document.querySelector('select[aria-label=Run]').focus()")
    where = "const e = document.activeElement; return e.getAttribute('aria-label') || e.value"
    where += " || e.textContent || e.type"
    seen = [page.run(where)]
    for _ in range(24):
        page.driver.switch_to.active_element.send_keys(TAB)
        seen.append(page.run(where))
    wanted = ["Run", "Sentence", "Play steps", "Step", "on", "Read new steps", "cross", "Head"]
    wanted += ["lines", "own", "Download SVG", "Download PNG", "Copy SVG", "Copy PNG"]
    wanted += ["▁The", "▁Die", "layer 1 head 1"]
    order = [seen.index(name) for name in wanted]
    assert order == sorted(order), seen


def test_pictures_are_saved_and_copied(page, driver, server):
    page.choose("Sentence", "attention/2")
    keep = "window.saved = []; const made = URL.createObjectURL;"
    keep += "URL.createObjectURL = blob => (saved.push(blob), made(blob))"
    page.run(keep)
    rights = {"origin": server, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    driver.execute_cdp_cmd("Browser.grantPermissions", rights)
    for view in ("lines", "matrix"):
        page.run(f"document.querySelector('input[value={view}]').click()")
        page.frames()
        for name in ("Download SVG", "Download PNG", "Copy SVG", "Copy PNG"):
            page.one(f"button[aria-label='{name}']").click()
            until(lambda done=f"{name}: done": page.text(".told") == done)
    texts = "const done = arguments[0];"
    texts += "Promise.all(saved.map(async b => [b.type, b.size, await b.text()]"
    svg, png, svg_matrix, png_matrix = driver.execute_async_script(f"{texts})).then(done)")
    for kind, size, text in (svg, svg_matrix):
        assert (kind, size > 1000) == ("image/svg+xml", True)
        parse = "return new DOMParser().parseFromString(arguments[0], 'image/svg+xml')"
        names = f"{parse}.querySelectorAll('parsererror, script, img').length"
        assert page.run(names, text) == 0
        first = f"{parse}.querySelectorAll('text')"
        shown = page.run(
            f"return [...{first.removeprefix('return ')}].map(e => e.textContent)", text
        )
        assert {"<script>alert(1)</scrip…", '"quo\'tes"', "[U+202E]evil[U+202C]"} <= set(shown)
    assert [png[0], png_matrix[0]] == ["image/png"] * 2
    assert min(png[1], png_matrix[1]) > 3000
    types = "const done = arguments[0];"
    types += "navigator.clipboard.read().then(items => done(items.flatMap(item => item.types)))"
    assert driver.execute_async_script(types) == ["image/png"]


def test_large_record_stays_fluid(page):
    page.choose("Sentence", "attention/3")
    page.settle()
    assert len(page.all(".head")) == 192
    script = """
        const done = arguments[0], rows = document.querySelectorAll('.tokens.row li');
        const took = [];
        const next = (i) => {
            if (i === 30) return done(took);
            const start = performance.now();
            rows[i * 6].dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
            requestAnimationFrame(() => requestAnimationFrame(() => {
                took.push(performance.now() - start);
                next(i + 1);
            }));
        };
        next(0);
    """
    took = sorted(page.driver.execute_async_script(script))
    assert took[15] < 400, json.dumps(took)  # two frames; a browser without a GPU, cores shared


def test_long_sentence_is_drawn_where_it_is_scrolled_to(page):
    page.choose("Sentence", "attention/3")
    page.settle()
    top = ink(page, ".lines")
    height = "return [document.querySelector('.lines').height, innerHeight]"
    drawn, seen = page.run(height)
    assert drawn <= seen
    page.run("document.querySelector('.panels').scrollTop = 1500")
    until(lambda: ink(page, ".lines") != top)
    place = "const r = document.querySelector('.lines').getBoundingClientRect();"
    place += "const p = document.querySelector('.panels').getBoundingClientRect();"
    assert page.run(f"{place} return Math.abs(r.top - p.top)") < 1
    assert ink(page, ".lines")[0] > 1000


def test_tab_of_tensorboard_dark_and_light(page, driver, server):
    driver.get(f"{server}/?darkMode=true#attention")
    frame = until(lambda: driver.find_elements("css selector", "iframe"), 30)[0]
    driver.switch_to.frame(frame)
    until(lambda: page.run("return document.querySelector('main')?.dataset.shown"))
    page.frames()
    theme = "return [document.documentElement.dataset.theme,"
    theme += "getComputedStyle(document.body).backgroundColor]"
    assert page.run(theme) == ["dark", "rgb(48, 49, 52)"]
    before = ink(page, ".lines")
    page.act(lambda: page.run("window.parent.document.body.classList.remove('dark-mode')"))
    assert page.run(theme) == ["light", "rgb(255, 255, 255)"]
    assert ink(page, ".lines") != before
    driver.switch_to.default_content()
