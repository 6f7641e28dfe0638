"""The page in a real browser: it draws, sorts, fits a phone, goes dark, and asks for nothing.

Chromium writes what a script finds into the page (--dump-dom), what the console says to stderr and
every request to a log. The script is added to a copy of the page whose policy has its hash too.
"""

import json
import re
import shutil
import subprocess

import pytest
import report_cases as cases

from tfp_vae import report
from tfp_vae.export.page import browser

CHROMIUM = next(filter(None, map(shutil.which, browser.NAMES)), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs chromium, which is not installed")
FLAGS = "--enable-logging=stderr --v=0 --virtual-time-budget=3000 --window-size=1200,900".split()

FIND = """
const table = document.querySelector("#overview table.sortable");
const column = (index) => [...table.tBodies[0].rows].map((row) => row.cells[index].dataset.value);
const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].firstChild.textContent);
const press = (index) => {
  const header = table.tHead.rows[0].cells[index];
  header.querySelector("button").click();
  const sorted = [...table.querySelectorAll("[aria-sort]")];
  return {order: header.getAttribute("aria-sort"), headers: sorted.length, values: column(index)};
};
const wide = (element) => element.scrollWidth - element.clientWidth;
// At this event all pictures are there; nothing waits, as the dump would not.
addEventListener("load", () => {
  const found = {
    width: innerWidth,
    overflow: wide(document.documentElement),
    pictures: [...document.images].map((image) => image.naturalWidth),
    shown: [...document.images].map((image) => image.currentSrc),
    paper: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
    cards: [...document.querySelectorAll(".card")].map((c) => getComputedStyle(c).backgroundColor),
    sorts: [press(1), press(1), press(2), press(9), press(9)],
    names: [press(0) && names(), press(0) && names()],
    focusable: [...table.tHead.querySelectorAll("button")].every((button) => {
      button.focus();
      return document.activeElement === button;
    }),
    resources: performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  for (const details of document.querySelectorAll("details")) details.open = true;
  found.overflow_open = wide(document.documentElement);
  dispatchEvent(new Event("beforeprint"));
  const note = {id: "found", textContent: JSON.stringify(found)};
  if (parent !== window) parent.postMessage(note.textContent, "*");
  else document.body.append(Object.assign(document.createElement("pre"), note));
});
"""
LISTEN = """<!DOCTYPE html><link rel="icon" href="data:,"><iframe src="copy.html" width="375"
height="800" style="border:0"></iframe><script>addEventListener("message", (event) =>
document.body.append(Object.assign(document.createElement("pre"), {id: "found", textContent:
event.data})));</script>"""


def browse(folder, name, *flags):
    """Returns what the page found, what the console said, and the requests that pages made."""
    for _ in range(3):  # a frame may speak after the dump on a busy machine
        found, *rest = _browse(folder, name, *flags)
        if found or name not in ("copy.html", "phone.html"):
            break
    return found, *rest


def _browse(folder, name, *flags):
    log = folder / "net.json"
    log.unlink(missing_ok=True)
    command = [CHROMIUM, *browser.FLAGS, *FLAGS, browser.NO_NETWORK]
    command += [f"--user-data-dir={folder / 'profile'}", *flags]
    done = subprocess.run(
        [*command, f"--log-net-log={log}", "--dump-dom", (folder / name).as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return found and json.loads(found.group(1).replace("&amp;", "&")), console, _requests(log)


def _requests(log):
    # The browser's own requests have no origin; those of pages have one, "null" for files.
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    made = [e["params"] for e in events if "initiator" in e.get("params", {})]
    return [p["url"] for p in made if p["initiator"] != "not an origin"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    values = cases.comparison()
    page = report.write_report(folder, values, cases.pictures(values))
    (folder / "copy.html").write_text(
        browser.instrumented(page.read_text(encoding="utf-8"), FIND), encoding="utf-8"
    )
    (folder / "phone.html").write_text(LISTEN, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def light(folder):
    return browse(folder, "copy.html")


@pytest.fixture(scope="module")
def dark(folder):
    return browse(folder, "copy.html", "--blink-settings=preferredColorScheme=0")


@pytest.fixture(scope="module", params=["en", "zh"])
def phone(request, folder):
    values = cases.comparison()
    page = report.render_html(values, cases.pictures(values), request.param)
    (folder / "copy.html").write_text(browser.instrumented(page, FIND), encoding="utf-8")
    return browse(folder, "phone.html")


def test_the_console_is_silent_and_no_request_leaves_the_page(light, dark):
    for found, console, requests in (light, dark):
        assert found and console == [] and requests == []
        assert all(name.startswith("data:") for name in found["resources"])


def test_a_request_and_an_error_would_have_been_seen(folder):
    # Without this the test above could be blind.
    (folder / "bad.html").write_text(
        '<!DOCTYPE html><link rel="icon" href="data:,"><img src="https://example.invalid/a.png">'
        "<script>nothing.there</script>",
        encoding="utf-8",
    )
    _, console, requests = browse(folder, "bad.html")
    assert requests == ["https://example.invalid/a.png"]
    assert "nothing is not defined" in "".join(console)


def test_the_policy_stops_what_slips_into_the_page(folder):
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    slipped = (
        '<img src="https://example.invalid/a.png"><script>document.title = "x"</script></main>'
    )
    (folder / "slipped.html").write_text(page.replace("</main>", slipped), encoding="utf-8")
    _, console, requests = browse(folder, "slipped.html")
    assert requests == []
    assert sum("Content Security Policy" in line for line in console) == 2


def test_every_picture_is_drawn(light):
    assert light[0]["pictures"] == [60, 60, 60]


def test_the_table_sorts_down_and_up_with_what_was_not_measured_at_the_end(light):
    down, up, less, first, last = light[0]["sorts"]
    accuracy = sorted(cases.ACCURACY.values())
    assert down["order"] == "descending" and up["order"] == "ascending"
    assert [float(v) for v in down["values"]] == accuracy[::-1]
    assert [float(v) for v in up["values"]] == accuracy
    assert less["order"] == "ascending"  # the best comes first, and less is better
    assert [float(v) for v in less["values"]] == sorted(cases.NLL.values())
    assert first["values"] == ["-24.1", "-25.1", "-26.1", "", "", "", ""]
    assert last["values"] == ["-26.1", "-25.1", "-24.1", "", "", "", ""]
    assert {sort["headers"] for sort in light[0]["sorts"]} == {1}


def test_the_table_sorts_by_name(light):
    up, down = light[0]["names"]
    assert up == sorted(up, key=str.lower) and down == up[::-1]


def test_every_header_can_be_reached_by_keyboard(light):
    assert light[0]["focusable"]


def test_dark_and_light_differ_and_both_can_be_read(light, dark):
    def brightness(color):
        return sum(map(float, re.findall(r"\d+", color)[:3])) / 3

    assert brightness(light[0]["paper"]) - brightness(light[0]["ink"]) > 150
    assert brightness(dark[0]["ink"]) - brightness(dark[0]["paper"]) > 150


def test_pictures_have_a_light_card_or_their_dark_variant(light, dark):
    assert set(dark[0]["cards"]) == {"rgb(255, 255, 255)"} and len(dark[0]["cards"]) == 2
    assert light[0]["shown"][1] != dark[0]["shown"][1]
    assert light[0]["shown"][0] == dark[0]["shown"][0]


def test_a_phone_needs_no_sideways_scrolling(phone):
    found, console, requests = phone
    assert found["width"] == 375 and found["overflow"] == found["overflow_open"] == 0
    assert console == [] and requests == []
