"""The page and its Markdown twin: every number, nothing from outside, no markup let in."""

import base64
import functools
import hashlib
import html
import html.parser
import itertools
import json
import re

import markdown_it
import pytest
import report_cases as cases

from tfp_vae import report, training
from tfp_vae.report import texts
from tfp_vae.report.escaping import code, code_block, escape

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>|`*_\n# [a](b) & \"'{{ 7 * 7 }}"


class Parser(html.parser.HTMLParser):
    """Collects tags, attributes and texts, and holds that tags close in order."""

    VOID = frozenset("meta link img source line wbr".split())

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def rendered(values=None, language="en"):
    values = values or cases.comparison()
    return report.render_html(values, cases.pictures(values), language)


@pytest.fixture(scope="module", params=report.LANGUAGES)
def page(request):
    return rendered(language=request.param)


def test_headings_descend_without_gaps_and_the_verdict_comes_first(page):
    levels = [int(tag[1]) for tag, _ in Parser(page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[:2] == [1, 2] and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [a["id"] for a in Parser(page).attributes("section")]
    assert ids == [
        "verdict",
        "advised",
        "overview",
        "figures",
        "details",
        "failures",
        "costs",
        "reproduce",
    ]


def test_the_page_names_its_language():
    assert Parser(rendered()).attributes("html") == [{"lang": "en"}]
    assert Parser(rendered(language="zh")).attributes("html") == [{"lang": "zh-Hans"}]


def test_nothing_is_asked_from_outside(page):
    assert not re.search(r"https?:|//\w|@import|@font-face", re.sub(r'base64,[^"]*', "", page))
    for _, attributes in Parser(page).tags:
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not any(name.startswith("on") or name == "style" for name in attributes)


def test_the_policy_allows_only_the_style_and_script_of_the_page(page):
    policy = next(a["content"] for a in Parser(page).attributes("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_pictures_are_inside_with_their_size_and_words():
    values = cases.comparison()
    images = Parser(rendered(values)).attributes("img")
    assert [image["alt"] for image in images] == [f["alt"] for f in values["figures"]]
    for image in images:
        assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == cases.png()
        assert (image["width"], image["height"]) == ("60", "40")
    (dark,) = Parser(rendered(values)).attributes("source")
    assert dark["media"] == "(prefers-color-scheme: dark)" and dark["srcset"] != images[1]["src"]


def test_marks_are_more_than_a_colour():
    page = rendered()
    best = re.findall(r'<td class="best".*?</td>', page, re.S)
    assert len(best) > 20 and all('aria-label="best within error"' in cell for cell in best)
    assert page.count("★") == len(best) + 1  # and once in the note below the table


def test_hostile_text_is_shown_and_not_obeyed():
    values = json.loads(json.dumps(cases.comparison()).replace("bayesian_decoder_vae", "HOSTILE"))
    values = json.loads(json.dumps(values).replace("HOSTILE", json.dumps(HOSTILE)[1:-1]))
    values["dataset"] |= {"name": HOSTILE, "title": HOSTILE, "digest": HOSTILE}
    values |= {"command": HOSTILE, "machine": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    values["settings"][HOSTILE] = HOSTILE
    values["failures"][0] |= {"error": HOSTILE, "stage": HOSTILE}
    values["figures"][0] |= {"alt": HOSTILE, "name": HOSTILE, "caption": HOSTILE}
    values["results"].append(cases.result("ood", "ml", HOSTILE, 0.5, 0.1, HOSTILE))
    hostile, friendly = Parser(rendered(values)), Parser(rendered())
    for tag in ("script", "style", "meta", "link", "img"):
        assert len(hostile.attributes(tag)) == len(friendly.attributes(tag))
    assert not any("onerror" in attributes for _, attributes in hostile.tags)
    shown = "".join(text for _, text in hostile.texts)
    assert shown.count(HOSTILE) > 10 and "49" not in re.findall(r"{{.*?}}", shown)
    markdown = report.render_markdown(values)
    outside = re.sub(r"(?ms)^(````*)\n.*?^\1$", "", markdown)
    assert "<script" not in outside and "<img" not in outside and outside.count("```") == 0
    assert not re.search(r"(?m)^# \[a", outside)


def test_without_results_figures_and_failures_there_is_still_a_page():
    values = cases.comparison() | {"results": [], "figures": [], "failures": []}
    ids = [a["id"] for a in Parser(rendered(values)).attributes("section")]
    assert ids == ["verdict", "costs", "reproduce"]
    assert "## Verdict" in report.render_markdown(values)


def _rows(markdown, heading):
    part = markdown.split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return head, body


def _numbers(cell):
    return [float(n.replace(",", "")) for n in re.findall(r"-?[\d,]+\.?\d*", cell)]


@pytest.mark.parametrize("metric", ["accuracy", "nll"])
def test_rows_of_the_markdown_are_those_of_the_json(metric):
    values = cases.comparison()
    shown = report.render_markdown(values).split("### Corrupted inputs")[1]
    title, scale = {"accuracy": ("Accuracy", 100), "nll": ("NLL (nats)", 1)}[metric]
    head, body = _rows(shown, f"#### {title}")
    results = cases.only(values["results"], task="corruptions", metric=metric)
    assert len(head) == 2 + len(cases.NAMES) and len(body) == 9
    marked = report.mark(values["results"])
    for condition, level, *cells in body:
        for model, cell in zip(cases.NAMES, cells, strict=True):
            (wanted,) = cases.only(results, model=model, condition=condition, level=int(level))
            numbers = [scale * wanted[part] for part in ("mean", "lower", "upper")]
            assert _numbers(cell) == pytest.approx(numbers, abs=0.06 if scale > 1 else 0.0006)
            rows = marked["corruptions", metric, condition, int(level)]
            assert ("★" in cell) == next(one.best for one in rows if one.model == model)


@pytest.mark.parametrize("language", report.LANGUAGES)
def test_every_result_is_on_the_page_and_in_the_markdown(language):
    values = cases.comparison()
    page, markdown = rendered(values, language), report.render_markdown(values, language)
    shown = set(map(float, re.findall(r'data-value="([^"]+)"><span class="mean"', page)))
    for result in values["results"]:
        assert result["mean"] in shown or f'data-value="{result["mean"]}"' in page
        estimate = report.Estimate(*(result[part] for part in ("mean", "lower", "upper")))
        digits = texts.numbers(result["metric"], estimate)
        assert digits[0] in markdown and digits[1] in markdown


SHOWN = [
    "a|b", "*a*", "_a_", "`a`", "[a](b)", "# a", "<b>", "a\nb", "\\", "- a", "+ a", "1. a", "2) a",
    "---", "http://a.b", "www.a.b", "ftp://a.b", "//a.b", "mailto:a@b.c", "see a.b+c@d.ef, please",
    "@name", "by @a/b", "issue #1", "a/b#12", "GH-3", "xmpp:a@b", ":tada:", "cost $1$",
]  # fmt: skip
# What GitHub and others link, name or draw in the text between two elements.
LINKED = re.compile(
    r"\w+:\\?//\w|www\\?\.\w|(mailto|xmpp):\w|@\w|#\d|\bGH-\d|:\w+:|\$.+\$", re.IGNORECASE
)


@pytest.mark.parametrize("text", SHOWN)
def test_markdown_shows_text_as_it_is(text):
    shown = escape(text)
    assert "\n" not in shown and "<" not in re.sub("</?span>", "", shown)
    plain = re.sub(r"\\(.)", r"\1", re.sub("</?span>", "", shown))
    assert plain.replace("&lt;", "<").replace("&gt;", ">") == text.replace("\n", " ")
    marks = r"(?<!\\)([*`|\[]|#(?!<))|(?<!\w)(?<!\\)_|^[-+]\s|^\d[.)]\s|^--"
    assert not re.search(marks, shown)
    assert not any(LINKED.search(part) for part in re.split("</?span>", shown))
    rendered = markdown_it.MarkdownIt("commonmark").render(f"- {shown}")
    rendered = html.unescape(re.sub("</?(ul|li|span)>", "", rendered))
    assert rendered.strip() == text.replace("\n", " ")


def test_no_text_of_a_run_is_a_command_of_a_terminal():
    hostile = "a\x1b[31m\nb\x07"
    assert report.aligned([["name", hostile], [hostile, "1"]], left=(0,)).count("\n") == 1
    for shown in (report.aligned([[hostile]]), report.summary({hostile: 1.0})):
        assert shown.isprintable() and "a?[31m?b?" in shown


def test_names_of_metrics_and_numbers_stay_legible():
    for text in ("test_elbo_se", "-9.50 +- 0.10", "+0.3", "12:30:05", "a: b", "2.5", "C# and a-b"):
        assert escape(text).replace("\\", "") == text


def test_text_ends_neither_a_block_nor_a_span_of_code():
    text = "```\n<b>out</b>"
    assert code_block(text) == f"````\n{text}\n````"
    assert code("a`|\nb") == "`a b`"


def test_a_report_is_written_whole(tmp_path):
    values = cases.comparison()
    path = report.write_report(tmp_path, values, cases.pictures(values))
    assert path == tmp_path / "report" / "index.html"
    names = {file.name for file in path.parent.iterdir()}
    pictures = {"reliability.png", "corruptions.png", "corruptions-dark.png", "samples.png"}
    pages = {"index.html", "report.md", "index.zh.html", "report.zh.md"}
    assert names == {"report.json", *pages, *pictures}
    assert report.read_json(path.parent / "report.json") == values
    links = {"en": "index.html", "zh": "index.zh.html"}
    page = report.render_html(values, cases.pictures(values), "en", links)
    assert path.read_text(encoding="utf-8") == page
    written = (path.parent / "report.md").read_text(encoding="utf-8")
    assert written == report.render_markdown(values)


def test_both_languages_lie_side_by_side_and_link_to_each_other(tmp_path):
    values = cases.comparison()
    english = report.write_report(tmp_path, values, cases.pictures(values))
    before = english.read_bytes()
    again = report.read_json(english.parent / "report.json")  # is enough
    folder = report.RunFolder(tmp_path, overwrite=True)
    chinese = report.write_report(folder, again, cases.pictures(again), "zh")
    assert (english.name, chinese.name) == ("index.html", "index.zh.html")
    assert english.read_bytes() == before and "结论" in chinese.read_text(encoding="utf-8")
    for page, other in ((english, chinese), (chinese, english)):
        (link,) = Parser(page.read_text(encoding="utf-8")).attributes("a")
        assert link["href"] == other.name


def test_pictures_in_the_language_of_the_page_are_taken_or_the_page_says_that_they_are_english():
    values = cases.comparison()
    values["figures"] = values["figures"][:1]
    note = texts.Texts("zh").word("figures_note")
    english, chinese = cases.png(), cases.png() + b"zh"
    pictures = {"reliability.png": english}
    assert note in report.render_html(values, pictures, "zh")
    assert texts.Texts("en").word("figures_note") not in report.render_html(values, pictures)
    pictures["reliability.zh.png"] = chinese
    for language, picture in (("en", english), ("zh", chinese)):
        page = report.render_html(values, pictures, language)
        assert note not in page
        (image,) = Parser(page).attributes("img")
        assert base64.b64decode(image["src"].partition(",")[2]) == picture
    assert "(reliability.zh.png)" in report.render_markdown(values, "zh", pictures)


def test_what_the_package_says_of_its_figures_is_said_in_the_language_of_the_page():
    values = cases.comparison()
    known = texts.Texts("en").words["figures"]["reliability"]
    values["figures"][0] |= {"alt": known, "caption": known}
    page = report.render_html(values, cases.pictures(values), "zh")
    assert texts.Texts("zh").words["figures"]["reliability"] in page and known not in page


@pytest.mark.parametrize("language", report.LANGUAGES)
def test_one_word_stands_for_a_nat_and_one_for_what_is_out_of_distribution(language):
    said = json.dumps(texts.Texts(language).words, ensure_ascii=False)
    assert language == "en" or not re.search(r"\bnats?\b|奈特|外来", said.replace('"nats"', ""))


def test_what_an_earlier_report_left_is_replaced(tmp_path):
    values = cases.comparison()
    path = report.write_report(tmp_path, values, cases.pictures(values))
    values["figures"] = values["figures"][:1]
    report.write_report(tmp_path, values, cases.pictures(values))
    assert [file.name for file in path.parent.glob("*.png")] == ["reliability.png"]
    (tmp_path / "metrics.json").write_text("{}")
    report.RunFolder(tmp_path, overwrite=True).create()
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ({}, r"do not fit.*Expected \['reliability.png'.*Received \[\]"),
        ({"other.png": cases.png()}, r"do not fit.*other\.png"),
        ({"corruptions.png": b"GIF89a"}, r"corruptions\.png is not a picture.*PNG.*GIF89a"),
    ],
    ids=["missing", "unknown", "no PNG"],
)
def test_pictures_that_do_not_fit_leave_the_old_report_as_it_was(tmp_path, pictures, message):
    values = cases.comparison()
    path = report.write_report(tmp_path, values, cases.pictures(values))
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    wrong = pictures and cases.pictures(values) | pictures
    with pytest.raises(ValueError, match=message):
        report.write_report(tmp_path, values | {"command": "another"}, wrong)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_nan_is_refused_before_anything_is_written(tmp_path):
    values = cases.comparison()
    values["seconds"] = float("nan")
    with pytest.raises(ValueError, match=r"\['seconds'\] is wrong.*finite number.*nan"):
        report.write_report(tmp_path, values, cases.pictures(values))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_says_how_far_each_bound_was_optimised(language):
    values = cases.comparison()
    end = {"elbo_at_end": -0.9, "elbo_gain": 0.03, "converged": False, "kl_weight_at_end": 1.0}
    agreed = {"rhat_max": 1.02, "chains_agree": True}
    values["models"]["ml"] |= {"learning_rate": 0.003, "training": end | agreed}
    values["models"]["bnn"]["training"] = end | {"weight_kl": 0.2, "collapsed": True}
    values["models"]["bnn"]["training"] |= {"rhat_max": None, "chains_agree": False}
    words = texts.Texts(language).words["training"]
    told = report.render_markdown(values, language)
    titles = [texts.Texts(language).title("models", name) for name in ("bnn", "ml")]
    ends = report.page.trainings(values, texts.Texts(language))
    assert [end.startswith(title) for end, title in zip(ends, titles, strict=True)] == [True] * 2
    assert words["collapsed"] in told
    assert words["chains_agree"].format(rhat="1.02") in told
    assert "-0.900" in told and "+0.030" in told and "0.003" in told
    assert words["not_converged"].split("{")[0].split("(")[0].strip("（ ") in told
    page = report.render_html(values, cases.pictures(values), language)
    assert words["collapsed"] in page and words["chains_differ"].format(rhat="∞") in page
    tempered = words["temperature"].format(weight="0.5")
    assert tempered not in told
    values["models"]["bnn"]["training"]["kl_weight_at_end"] = 0.5
    assert tempered in report.render_markdown(values, language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_says_what_posteriors_behind_a_training_say_of_themselves(language):
    values, told = cases.comparison(), texts.Texts(language)
    chains = {"rhat_max": 1.3, "effective_sample_size_min": 61.4, "diverged_chains": [2]}
    values["models"]["ensemble"]["training"] = training.of_posterior(chains | {"energy_error": 0.2})
    bound = {"posterior_elbo": -0.5, "posterior_kl": 2835.0, "posterior_temperature": 1.0}
    values["models"]["ml"]["training"] = training.of_posterior(bound)
    values["models"]["bnn"]["collapsed_labels"] = [10, 100]
    values["models"]["bnn"]["training"] = {"below_guess": True, "guess": -2.3}
    bnn, ml, ensemble = report.page.trainings(values, told)
    say = functools.partial(told.say, "training")
    assert say("collapsed_labels", labels=told.words["lists"]["comma"].join(("10", "100"))) in bnn
    assert say("below_guess", guess="-2.300") in bnn
    assert say("bound", elbo="-0.500", kl="2,835.0") in ml
    for part in (
        say("chains_differ", rhat="1.30"),
        say("effective_sample_size_min", value="61"),
        say("energy_error", value="0.2"),
        say("chains_diverged", count=1),
    ):
        assert part in ensemble


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_network_of_ones_own_is_said_to_have_its_own_size(language):
    values, told = cases.comparison(), texts.Texts(language)
    own = told.say("page", "own_sizes", models="mine:net")
    assert not report.page.sentences(values, told)["facts"].endswith(own)
    values["models"]["mine:net"] = {"family": "network", "parameters": 9, "train_seconds": None}
    assert report.page.sentences(values, told)["facts"].endswith(own)
    values["settings"]["match"] = "seconds"
    assert own not in report.page.sentences(values, told)["facts"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_of_one_family_is_not_called_a_comparison_of_two(language):
    values, told = cases.comparison(), texts.Texts(language)
    title = told.title("data_sets", values["dataset"]["name"])
    assert report.page.sentences(values, told)["heading"] == told.say("page", "heading", data=title)
    for family in ("vae", "network"):
        models = {k: v for k, v in values["models"].items() if v["family"] == family}
        found = report.page.sentences(values | {"models": models}, told)["heading"]
        assert found == told.say("page", f"heading_{family}", data=title)
