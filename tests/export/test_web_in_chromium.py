"""The page of a decoder in a real browser: it draws what Keras draws, follows hand and keys, and
asks for nothing.
"""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import web_cases as cases

from tfp_vae import data
from tfp_vae.export.page import browser, web

CHROMIUM = next(filter(None, map(shutil.which, browser.NAMES)), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which is not installed")

# Presses, drags and types as a person does, and notes what the page shows after each.
ACT = """
const plane = document.getElementById("plane"), picture = document.getElementById("picture");
const seen = () => {
  tfpVae.draw();
  const {z, label} = tfpVae.state();
  const shown = [...document.querySelectorAll(".sliders output")];
  return {z, label, picture: picture.toDataURL(),
    shown: shown.map((output) => Number(output.textContent.replace("−", "-")))};
};
const point = (type, x, y) => {
  const box = plane.getBoundingClientRect();
  plane.dispatchEvent(new PointerEvent(type, {clientX: box.left + x * box.width, pointerId: 1,
    clientY: box.top + y * box.height, buttons: 1, bubbles: true, cancelable: true}));
  return seen();
};
const key = (name, shiftKey = false) => {
  plane.dispatchEvent(new KeyboardEvent("keydown", {key: name, shiftKey, bubbles: true}));
  return seen();
};
const slide = (k, value) => {
  const slider = document.querySelectorAll("[data-direction]")[k];
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
  return seen();
};
const between = document.getElementById("between"), ends = document.querySelectorAll("[data-end]");
const drag = (share) => {
  between.value = share;
  between.dispatchEvent(new Event("input"));
  return {...seen(), share: Number(between.value), said: between.nextElementSibling.textContent};
};
const swap = (side) => {
  ends[side].click();
  return {...seen(), share: Number(between.value), name: ends[side].title,
    small: ends[side].querySelector("canvas").toDataURL()};
};
const press = (id) => { document.getElementById(id).click(); return seen(); };
addEventListener("load", () => {
  const found = {start: seen()};
  if (plane) Object.assign(found, {
    down: point("pointerdown", 0.75, 0.25), moved: point("pointermove", 0.25, 0.5),
    beyond: point("pointermove", 9, -9), focused: document.activeElement === plane,
    home: key("Home"), left: key("ArrowLeft"), up: key("ArrowUp", true),
  });
  Object.assign(found, {slid: slide(0, 1.5), random: press("random"), again: press("random"),
    reset: press("reset")});
  if (between) Object.assign(found, {
    dragged: [0, 0.25, 1].map(drag), swapped: [0, 1, 1].map(swap), half: drag(0.5),
    restored: press("reset"), restored_share: Number(between.value)});
  const chips = [...document.querySelectorAll("input[name=class]")];
  if (plane) key("Home");
  found.classes = chips.map((chip) => { chip.click(); return seen(); });
  const canvas = (element) => element && [element.width, element.height];
  Object.assign(found, {
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
    text: document.body.innerText, lang: document.documentElement.lang,
    label: picture.getAttribute("aria-label"),
    unnamed: [...document.querySelectorAll("button, input, canvas")].filter((e) =>
      !e.ariaHidden && !(e.labels || []).length && !e.textContent &&
      !e.getAttribute("aria-label")).length,
    sizes: [canvas(plane), canvas(picture)],
    dots: plane && new Set(plane.getContext("2d").getImageData(0, 0, plane.width, plane.height)
      .data).size,
    resources: performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:")),
  });
  const note = Object.assign(document.createElement("pre"),
    {id: "answer", textContent: JSON.stringify(found)});
  if (parent !== window) parent.postMessage(note.textContent, "*");
  else document.body.append(note);
});
"""
PHONE = """<!DOCTYPE html><link rel="icon" href="data:,"><iframe src="copy.html" width="375"
height="800" style="border:0"></iframe><script>addEventListener("message", (event) =>
document.body.append(Object.assign(document.createElement("pre"), {id: "answer", textContent:
event.data})));</script>"""


def browse(folder, page, *flags, phone=False, script=ACT):
    """Returns what the page showed, what the console said, and the requests that pages made."""
    copy, frame, log = (folder / name for name in ("copy.html", "phone.html", "net.json"))
    copy.write_text(browser.instrumented(page, script), encoding="utf-8")
    frame.write_text(PHONE, encoding="utf-8")
    command = [
        *(CHROMIUM, *browser.FLAGS, browser.NO_NETWORK, *flags),
        *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000"),
        *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"),
        *("--window-size=1200,900", "--dump-dom", (frame if phone else copy).as_uri()),
    ]
    for _ in range(3):  # a frame may speak after the dump on a busy machine
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)
        if found:
            break
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    made = [e["params"] for e in events if "initiator" in e.get("params", {})]
    requests = [p["url"] for p in made if p["initiator"] != "not an origin"]
    return found and json.loads(html.unescape(found.group(1))), console, requests


# Whose heads are drawn behind convolutions too.
AGAIN = (cases.discretized, cases.categorical)


@pytest.mark.parametrize(
    "maker",
    [pytest.param(m, marks=pytest.mark.all_only if m in AGAIN else ()) for m in cases.MAKERS],
    ids=lambda maker: maker.__name__,
)
def test_the_page_decodes_as_keras_does(tmp_path, maker):
    model = cases.make(maker)
    z, given, expected = cases.draws(model)
    page = web.write(model, tmp_path)
    assert np.ptp(expected, axis=0).max() > 0.01, "a picture that does not change proves nothing"
    # Both are float32: the last digits grow with the values.
    assert web.check(page, z, expected, given) < 1e-5 * max(1, np.abs(expected).max())
    if maker is cases.bernoulli:  # that the check can fail
        assert web.check(page, z, expected + 0.25) == pytest.approx(0.25, abs=1e-5)


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (60, 4, 4, 1)).astype(np.float32)
    return data.Split(values, "static", labels=rng.integers(0, 3, 60))


@pytest.fixture(scope="module")
def page(examples):
    return web.render(cases.make(cases.bernoulli), examples=examples)


@pytest.fixture(scope="module")
def light(page, tmp_path_factory):
    return browse(tmp_path_factory.mktemp("light"), page)


@pytest.fixture(scope="module")
def dark(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dark")
    return browse(folder, page, "--blink-settings=preferredColorScheme=0")


@pytest.mark.all_only
def test_the_console_is_silent_and_no_request_leaves_the_page(light, dark):
    for found, console, requests in (light, dark):
        assert found and console == [] and requests == [] and found["resources"] == []


def test_a_request_and_an_error_would_have_been_seen(page, tmp_path):
    # Without this the test above could be blind.
    bad = page.replace("default-src &#39;none&#39;; img-src data:; ", "")
    bad = bad.replace("</main>", '<img src="https://example.invalid/a.png"></main>')
    _, console, requests = browse(tmp_path, bad, script="nothing.there")
    assert requests == ["https://example.invalid/a.png"]
    assert "nothing is not defined" in "".join(console)


def test_the_policy_stops_what_slips_into_the_page(page, tmp_path):
    slipped = '<img src="https://example.invalid/a.png"><script>document.title = "x"</script>'
    _, console, requests = browse(tmp_path, page.replace("</main>", f"{slipped}</main>"))
    assert requests == []
    assert sum("Content Security Policy" in line for line in console) == 2


def test_the_point_follows_the_hand_and_the_picture_follows_the_point(light):
    found = light[0]
    extent = 2 * found["down"]["z"][0]  # a quarter of the plane from its middle
    np.testing.assert_allclose(found["down"]["z"], [extent / 2, extent / 2], atol=0.05)
    np.testing.assert_allclose(found["moved"]["z"], [-extent / 2, 0], atol=0.05)
    np.testing.assert_allclose(found["beyond"]["z"], [extent, extent], atol=1e-6)
    pictures = [found[name]["picture"] for name in ("start", "down", "moved", "beyond")]
    assert len(set(pictures)) == 4
    assert found["focused"]


def test_the_keyboard_moves_the_point(light):
    found = light[0]
    np.testing.assert_allclose(found["home"]["z"], [0, 0], atol=1e-9)
    np.testing.assert_allclose(found["left"]["z"], [-0.1, 0], atol=1e-9)
    np.testing.assert_allclose(found["up"]["z"], [-0.1, 0.5], atol=1e-9)
    assert found["left"]["picture"] != found["up"]["picture"]
    assert found["unnamed"] == 0


def test_sliders_buttons_and_numbers_say_the_same_place(light):
    found = light[0]
    np.testing.assert_allclose(found["slid"]["z"], [1.5, 0.5], atol=1e-6)
    assert found["random"]["z"] != found["again"]["z"]
    assert (
        found["reset"] == found["start"] and found["start"]["picture"] != found["home"]["picture"]
    )
    for step in ("down", "up", "slid", "random"):
        np.testing.assert_allclose(found[step]["shown"], found[step]["z"], atol=0.0051)


def _values(page):
    return json.loads(re.search(r'id="values">(.*?)</script>', page, re.S).group(1))


def test_one_drags_between_two_encoded_examples_and_a_press_takes_the_next(light, page):
    found, z = light[0], np.array(_values(page)["ends"]["z"])
    for share, step in zip((0, 0.25, 1), found["dragged"], strict=True):
        np.testing.assert_allclose(step["z"], (1 - share) * z[0] + share * z[1], atol=1e-9)
        assert step["share"] == pytest.approx(share) and step["said"] == f"{100 * share:.0f} %"
    assert len({step["picture"] for step in found["dragged"]}) == 3
    first, second, third = found["swapped"]  # the next that is not the other end
    np.testing.assert_allclose([first["z"], second["z"], third["z"]], z[[2, 3, 4]], atol=1e-9)
    assert [step["share"] for step in found["swapped"]] == pytest.approx([0, 1, 1], abs=1e-6)
    assert first["small"] == first["picture"] and "Example 3 of 10, Label" in first["name"]
    np.testing.assert_allclose(found["half"]["z"], (z[2] + z[4]) / 2, atol=1e-9)
    assert found["restored"] == found["start"] and found["restored_share"] == 0


@pytest.mark.all_only
def test_between_examples_of_two_classes_the_nearer_one_says_the_class(tmp_path):
    model = cases.make(cases.conditional)
    values = np.random.default_rng(0).integers(0, 2, (30, 3, 2, 1)).astype(np.float32)
    page = web.render(model, examples=data.Split(values, "static", labels=np.arange(30) % 3))
    known = _values(page)["ends"]["labels"]
    found, console, _ = browse(tmp_path, page)
    assert console == [] and sorted(known[:3]) == [0, 1, 2]
    assert [step["label"] for step in found["dragged"]] == [known[0], known[0], known[1]]


def test_dark_and_light_differ_and_both_can_be_read(light, dark):
    def brightness(color):
        return sum(map(float, re.findall(r"\d+", color)[:3])) / 3

    assert brightness(light[0]["paper"]) - brightness(light[0]["ink"]) > 150
    assert brightness(dark[0]["ink"]) - brightness(dark[0]["paper"]) > 150


def test_the_examples_are_on_the_plane_and_their_images_are_not_in_the_page(light, page, examples):
    assert "60 encoded examples" in light[0]["text"]
    points = json.loads(re.search(r'id="values">(.*?)</script>', page, re.S).group(1))["points"]
    assert points["labels"] == examples.labels.tolist() and set(points) == {
        *("count", "labels", "places")
    }


@pytest.mark.parametrize("language", web.LANGUAGES)
def test_a_phone_needs_no_sideways_scrolling(tmp_path, examples, language):
    page = web.render(cases.make(cases.bernoulli), examples=examples, language=language)
    found, console, requests = browse(tmp_path, page, phone=True)
    assert found["width"] == 375 and found["overflow"] == 0
    assert console == [] and requests == []
    assert found["lang"] == {"en": "en", "zh": "zh-Hans"}[language]
    assert "built-in" not in found["text"] and "{" not in found["text"]


def test_each_class_has_its_button_and_its_picture(tmp_path):
    found, console, _ = browse(tmp_path, web.render(cases.make(cases.conditional)))
    assert [step["label"] for step in found["classes"]] == [0, 1, 2]
    assert len({step["picture"] for step in found["classes"]}) == 3 and console == []


def test_each_class_has_its_own_prior_where_the_model_has_one(tmp_path):
    model = cases.make(cases.class_prior)
    model.prior.loc.assign([[2.0, 0.0], [-1.0, 1.0], [0.0, -2.0]])
    found, _, _ = browse(tmp_path, web.render(model))
    centres = [step["z"] for step in found["classes"]]  # from the middle of a class
    np.testing.assert_allclose(centres, model.prior.loc.numpy(), atol=1e-6)


@pytest.mark.all_only
def test_a_table_is_drawn_as_bars_and_many_dimensions_have_sliders(tmp_path):
    found, console, _ = browse(tmp_path, web.render(cases.make(cases.normal_table)))
    assert "5" in found["label"] and found["moved"]["picture"] != found["down"]["picture"]
    assert console == []
