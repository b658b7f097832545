"""The box that draws in the page, in a real browser: by keyboard, mouse and finger, without a network."""

import functools
import http.server
import json
import threading

import pytest
import torch
from in_page import with_the_page_s_numbers
from PIL import Image
from toy import loaded_model

from dalle_edu.cli import main
from dalle_edu.page.export import all_codes, export
from dalle_edu.sampling import first_rows, sample_tokens

PROMPT = "a red square"


@pytest.fixture(scope="module")
def model():
    """A small model with exactly the numbers that the page gets."""
    from dalle_edu.drawing import load

    return with_the_page_s_numbers(load(loaded_model().folder))[0]


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    export(model, folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The model that the package ships, with the numbers that its page gets, and the page."""
    from dalle_edu.drawing import load

    folder = tmp_path_factory.mktemp("shipped")
    found = load("picturebook")
    told = export(found, folder)
    return with_the_page_s_numbers(found)[0], folder / "index.html", told


def greedy(model, prompt, **how):
    return sample_tokens(model.dalle, model.encode_text(prompt), top_k=1, **how)[0].tolist()


def set_dial(browser, label, value):
    """Moves a dial as a hand would: its value, and the events that go with it."""
    browser.page.locator("details.dials").evaluate("e => { e.open = true; }")
    dial = browser.page.locator(f"label:has(span:text-is('{label}')) :is(input, select)")
    if dial.evaluate("e => e.tagName") == "SELECT":
        dial.select_option(label=str(value))
    else:
        dial.fill(str(value))


def type_and_enter(browser, prompt):
    box = browser.page.get_by_label("What to draw")
    box.fill(prompt)
    box.press("Enter")


def wait_until_drawn(browser, seconds=60):
    browser.wait_for(
        "['drawing', 'done'].includes(document.querySelector('.dalle-draw').dataset.state)", seconds
    )
    browser.wait_for("document.querySelector('.dalle-draw').dataset.state === 'done'", seconds)
    browser.page.wait_for_timeout(50)  # the next frame


def tokens_shown(browser):
    return [int(token) for token in browser.page.locator(".easel").get_attribute("data-tokens").split()]


def draw_greedily(browser, page, **settings):
    browser.open(page.as_uri(), **settings)
    set_dial(browser, "temperature", 0)
    set_dial(browser, "samples", 1)
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)


def test_a_sentence_and_enter_draw_the_tokens_that_python_draws(browser, page, model):
    draw_greedily(browser, page)
    assert tokens_shown(browser) == greedy(model, PROMPT)
    assert not browser.errors
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "data", "blob"}


def test_the_picture_on_the_screen_is_the_decoders(browser, page, model):
    draw_greedily(browser, page)
    size = model.config.dvae.image_size
    shown = browser.value(
        "[...document.querySelector('.samples canvas').getContext('2d')"
        f".getImageData(0, 0, {size}, {size}).data]"
    )
    found = torch.tensor(shown).view(size, size, 4)[..., :3].permute(2, 0, 1) / 255
    wanted = model.pictures(torch.tensor([greedy(model, PROMPT)]))[0]
    assert (found - wanted).abs().max() <= 1.5 / 255


def test_while_it_draws_each_token_appears_as_its_code_looks(browser, page, model):
    """Each tile, at the moment at which it is set into the picture."""
    browser.open(page.as_uri())
    browser.page.evaluate(
        "() => { window.tiles = []; const draw = CanvasRenderingContext2D.prototype.drawImage;"
        "CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {"
        "if (rest.length === 2 && source.getContext) { window.tiles.push("
        "[...source.getContext('2d').getImageData(0, 0, source.width, source.height).data]); }"
        "return draw.call(this, source, ...rest); }; }"
    )
    set_dial(browser, "temperature", 0)
    set_dial(browser, "samples", 1)
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)
    tokens, side = greedy(model, PROMPT), model.config.dvae.downsampling
    tiles = torch.tensor(browser.value("window.tiles")[: len(tokens)]).view(len(tokens), side, side, 4)
    wanted = (all_codes(model)[tokens] * 255).round()
    assert (tiles[..., 3] == 255).all() and (tiles[..., :3] - wanted).abs().max() <= 1


def test_the_dials_of_guidance_and_samples_do_what_they_say(browser, page, model):
    browser.open(page.as_uri())
    set_dial(browser, "temperature", 0)
    set_dial(browser, "guidance", 2)
    set_dial(browser, "samples", 2)
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)
    assert tokens_shown(browser) == greedy(model, PROMPT, guidance=2.0)
    assert browser.page.locator(".samples button").count() == 2


def test_samples_differ_a_seed_repeats_them_and_clip_ranks_them(browser, page, model):
    browser.open(page.as_uri())
    set_dial(browser, "temperature", 1.5)
    set_dial(browser, "seed", 3)
    seen = []
    for _ in range(2):
        type_and_enter(browser, PROMPT)
        wait_until_drawn(browser)
        scores = [float(text) for text in browser.page.locator(".samples button span").all_inner_texts()]
        assert scores == sorted(scores, reverse=True) and len(scores) == 4
        found = []
        for press in browser.page.locator(".samples button").all():
            press.click()
            browser.page.wait_for_timeout(50)
            found.append(tuple(tokens_shown(browser)))
        wanted = model.score(model.pictures(torch.tensor(found)), PROMPT)
        assert torch.allclose(wanted, torch.tensor(scores), atol=6e-4)
        seen.append(found)
    assert seen[0] == seen[1] and len(set(seen[0])) > 1


@torch.no_grad()
def test_a_token_by_the_arrow_keys_says_its_chances_and_another_code_is_drawn_on_from(browser, page, model):
    draw_greedily(browser, page)
    set_dial(browser, "temperature", 1)  # what is asked below belongs to the drawing, not to the dial
    wanted, place = greedy(model, PROMPT), 6
    browser.page.locator(".easel").focus()
    browser.key("Home")
    browser.key("ArrowRight", place % 4)
    browser.key("ArrowDown", place // 4)
    browser.wait_for(f"document.querySelector('.looking').textContent.includes('Token {place + 1} of 16')")
    first = browser.page.locator(".codes button").first
    assert first.get_attribute("aria-label") == f"Code {wanted[place]}, chance 100 %"
    other = browser.page.locator(".codes button").nth(1)
    code = int(other.get_attribute("aria-label").split(",")[0].removeprefix("Code "))
    other.focus()
    browser.key("Enter")
    wait_until_drawn(browser)
    given = torch.tensor([*wanted[:place], code, *[0] * (15 - place)])
    keep = torch.arange(16) <= place
    assert tokens_shown(browser) == greedy(model, PROMPT, given=given, keep=keep)
    assert browser.page.locator(".samples button").count() == 2


@torch.no_grad()
def test_the_chances_beside_a_token_are_those_of_python(browser, page, model):
    browser.open(page.as_uri())
    set_dial(browser, "temperature", 0.5)
    set_dial(browser, "samples", 1)
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)
    browser.click(".easel", 0.6, 0.6)  # row 3, column 3 of 4
    browser.wait_for("document.querySelector('.looking').textContent.includes('Token 11 of 16')")
    drawn = torch.tensor([tokens_shown(browser)])
    logits = model.dalle(model.encode_text(PROMPT), drawn)[1][0, 10]
    chances = (logits / 0.5).softmax(-1)
    for press in browser.page.locator(".codes button").all():
        code, chance = press.get_attribute("aria-label").removeprefix("Code ").split(", chance ")
        assert abs(float(chance.rstrip(" %")) - 100 * chances[int(code)]) < 0.6
    shares = browser.page.locator(".words .note").all_inner_texts()
    assert abs(sum(float(share.rstrip(" %")) for share in shares) - 100) < 3
    assert browser.page.locator(".words .name").all_inner_texts()[-2:] == ["padding", "the picture"]


def test_a_picture_of_ones_own_is_kept_in_its_first_rows(browser, page, model, tmp_path):
    size = model.config.dvae.image_size
    pixels = (torch.rand(3, size, size, generator=torch.Generator().manual_seed(1)) * 255).byte()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "own.png")
    browser.open(page.as_uri())
    set_dial(browser, "temperature", 0)
    set_dial(browser, "samples", 1)
    browser.page.locator("input[type=file]").set_input_files(tmp_path / "own.png")
    browser.wait_for("!document.querySelectorAll('.dials input[type=range]')[2].closest('label').hidden")
    set_dial(browser, "rows to keep", 2)
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)
    given = model.vae.encode(pixels[None] / 255).flatten()
    assert tokens_shown(browser) == greedy(model, PROMPT, given=given, keep=first_rows((4, 4), 2))


def test_an_empty_sentence_is_answered_in_a_sentence_and_the_box_goes_on(browser, page):
    browser.open(page.as_uri())
    type_and_enter(browser, "   ")
    browser.wait_for("document.querySelector('.says').textContent.includes('empty')")
    type_and_enter(browser, PROMPT)
    wait_until_drawn(browser)


def test_markup_in_a_sentence_stays_text(browser, page):
    browser.open(page.as_uri())
    type_and_enter(browser, "<b>x</b>")
    wait_until_drawn(browser)
    browser.click(".easel", 0.1, 0.1)
    browser.wait_for("document.querySelectorAll('.words .name').length > 0")
    assert browser.page.locator(".dalle-draw b").count() == 0
    assert "<b>x</b>" in browser.page.locator(".easel").get_attribute("aria-label")


def test_the_shipped_model_draws_on_a_phone_what_python_draws_and_weighs_less_than_20_megabytes(
    browser, shipped
):
    model, page, told = shipped
    assert told["bytes"] < 20e6
    browser.open(page.as_uri(), width=390, height=844)
    assert browser.page.locator(".easel").bounding_box()["y"] < 500  # a drawing on the first screen
    set_dial(browser, "temperature", 0)
    set_dial(browser, "samples", 1)
    type_and_enter(browser, "a large green circle")
    wait_until_drawn(browser, 120)
    guidance = model.config.drawing.guidance  # with which the page draws where nobody moves the dial
    assert tokens_shown(browser) == greedy(model, "a large green circle", guidance=guidance)


def test_while_it_draws_the_page_answers_tokens_can_be_looked_into_and_stop_stops(browser, shipped):
    _, page, _ = shipped
    browser.open(page.as_uri())
    set_dial(browser, "samples", 16)
    type_and_enter(browser, "a red zebra eating qwertz")
    browser.wait_for("document.querySelector('.dalle-draw').dataset.state === 'drawing'", 120)
    assert "never showed the word" in browser.page.locator(".says").inner_text()
    assert "“qwertz”" in browser.page.locator(".says").inner_text()
    browser.wait_for("document.querySelector('.easel').dataset.tokens.split(' ').length > 40", 120)
    slowest = browser.value(
        "new Promise(done => { let last = performance.now(), worst = 0, count = 0;"
        "const frame = now => { worst = Math.max(worst, now - last); last = now;"
        "++count < 30 ? requestAnimationFrame(frame) : done(worst); }; requestAnimationFrame(frame); })"
    )
    assert slowest < 500  # milliseconds, on a machine that does other things besides
    browser.click(".easel", 0.3, 0.03)
    browser.wait_for("document.querySelectorAll('.codes button').length > 0", 60)
    browser.page.get_by_role("button", name="Stop").click()
    wait_until_drawn(browser, 60)
    counts = [len(tokens_shown(browser))]
    browser.page.wait_for_timeout(500)
    assert len(tokens_shown(browser)) == counts[0]
    assert "–" in browser.page.locator(".samples").inner_text()  # what is not finished has no score


def test_from_the_sentence_to_another_code_by_keyboard_alone_and_the_focus_is_never_lost(browser, page):
    browser.open(page.as_uri(), width=390, height=844)
    here = "document.activeElement.closest('.dalle-draw') && document.activeElement.tagName"
    browser.key("Tab")
    while browser.value(here) != "INPUT":
        browser.key("Tab")
    browser.key("Enter")
    wait_until_drawn(browser)
    assert browser.value(here) == "INPUT"
    seen = set()
    while browser.value("!document.activeElement.matches('.easel')"):
        browser.key("Tab")
        seen.add(browser.value(here))
        assert None not in seen, "the focus left the box before it came to the picture"
    browser.key("Home")
    browser.wait_for("document.querySelector('.looking').textContent.includes('Token 1 of 16')")
    assert browser.value("document.activeElement.matches('.easel')")
    while browser.value("!document.activeElement.closest('.codes')"):
        browser.key("Tab")
        assert browser.value(here), "the focus left the box before it came to the codes"
    browser.key("Tab")
    browser.key("Enter")
    wait_until_drawn(browser)
    browser.page.wait_for_timeout(300)
    assert browser.value("document.activeElement.closest('.codes') !== null")


def test_a_stop_by_keyboard_leaves_the_focus_in_the_box(browser, shipped):
    browser.open(shipped[1].as_uri())
    set_dial(browser, "samples", 16)
    type_and_enter(browser, "a red apple")
    browser.wait_for("document.querySelector('.dalle-draw').dataset.state === 'drawing'", 120)
    browser.page.get_by_role("button", name="Stop").focus()
    browser.key("Enter")
    wait_until_drawn(browser, 60)
    assert browser.value("document.activeElement.textContent") == "Draw"


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_it_fits_and_axe_finds_nothing_serious(browser, page, dark):
    draw_greedily(browser, page, width=390, height=844, dark=dark)
    browser.tap(".easel", 0.6, 0.6)
    browser.wait_for("document.querySelectorAll('.codes button').length > 0")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    assert not [(fault["id"], fault["nodes"][0]["html"]) for fault in browser.serious_faults()]


@pytest.fixture
def server(page):
    """The page over http; `asked` are the paths that a browser asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=page.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/index.html", asked
        running.shutdown()


def test_over_http_the_model_comes_on_a_click_and_is_kept(browser, server, model):
    address, asked = server
    browser.open(address)
    browser.page.wait_for_timeout(200)
    assert not [path for path in asked if "model-" in path]
    for _ in range(2):
        set_dial(browser, "temperature", 0)
        set_dial(browser, "samples", 1)
        type_and_enter(browser, PROMPT)
        wait_until_drawn(browser)
        assert tokens_shown(browser) == greedy(model, PROMPT)
        browser.page.reload()
    assert len([path for path in asked if path.endswith(".safetensors")]) == 1


def test_export_writes_a_page_from_a_trained_folder_with_its_licence(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["export", str(loaded_model().folder), str(tmp_path / "page")])
    assert not end.value.code and str(tmp_path / "page" / "index.html") in capsys.readouterr().out
    names = {path.suffix for path in (tmp_path / "page").iterdir()}
    assert names == {".html", ".js", ".txt", ".safetensors"}
    assert "licence" in (tmp_path / "page" / "LICENCE.txt").read_text(encoding="utf-8")


def test_the_licence_of_the_pictures_stands_beside_the_weights():
    from dalle_edu.drawing import load
    from dalle_edu.page.export import licence

    assert "OpenMoji" in licence(load("picturebook")) and "CC BY-SA 4.0" in licence(load("picturebook"))


def test_export_into_a_file_is_refused_in_a_sentence(tmp_path, capsys):
    (tmp_path / "page").write_text("mine")
    with pytest.raises(SystemExit) as end:
        main(["export", str(loaded_model().folder), str(tmp_path / "page")])
    assert end.value.code == 2 and "is a file" in capsys.readouterr().err
    assert (tmp_path / "page").read_text() == "mine"


def test_an_exported_page_holds_nothing_that_ends_its_script(page):
    text = page.read_text(encoding="utf-8")
    data = text.split('class="data">', 1)[1].split("</script>", 1)[0]
    assert json.loads(data)["grid"] == [4, 4] and "<" not in data


def test_chapter_0_has_the_box_below_its_title_and_loses_none_of_its_words(page):
    from types import SimpleNamespace

    from dalle_edu.page.export import describe, weights_file
    from dalle_edu.page.site import put_box

    told = describe(loaded_model(), weights_file(loaded_model()))
    opening = ["# Title\n", "\n", "Words.\n\nMore."]
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": opening}]
    source = [json.dumps({"cells": [*cells, {"cell_type": "code", "source": "1"}]})]
    put_box(SimpleNamespace(dalle_told=told), "00-one", source)
    found = ["".join(cell["source"]) for cell in json.loads(source[0])["cells"]]
    assert found[0] == "# Title" and "dalle-draw" in found[1] and found[2:] == ["Words.\n\nMore.", "1"]
    printed = ["Before <!-- draw --> after"]
    put_box(SimpleNamespace(dalle_told=None), "index", printed)
    assert printed == ["Before  after"]
