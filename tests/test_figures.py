"""Figures of members: one for each, drawn from its code, in both languages, and kept."""

import io
import re

import matplotlib.image
import pytest

from docs.pages import figures, members

# The cheapest of each family; all others say the same in more time.
CHEAPEST = {
    "models": "Bounds",
    "kinds": "autoencoder",
    "bounds": "elbo",
    "priors": "standard",
    "posteriors": "von_mises_fisher",
    "codes": "gumbel",
    "code_priors": "uniform",
    "networks": "mlp",
    "heads": "bernoulli",
    "layers": "Standardize",
    "weight_priors": "normal",
    "methods": "vi",
    "curvatures": "full",
    "gradients": "path",
    "missingness": "at_random",
}
EVERY = [
    pytest.param(
        family,
        name,
        id=f"{family}-{name}",
        marks=[] if CHEAPEST.get(family) == name else [pytest.mark.release_only],
    )
    for family in members.FAMILIES
    for name in members.members(family)
]


def is_blank(path):
    image = matplotlib.image.imread(io.BytesIO(path.read_bytes()))[..., :3]
    return image.std() < 0.02


@pytest.mark.parametrize(("family", "name"), EVERY)
def test_every_member_has_a_figure_and_words_that_say_what_is_seen(family, name, tmp_path):
    made = figures.picture(family, name)
    for language, said in zip(("en", "zh"), made.alt, strict=True):
        assert len(said) > 30 and not re.search(r"\b(nan|inf|None)\b", said), said
        figures.paint(made, language, tmp_path / f"{language}.png")
        assert not is_blank(tmp_path / f"{language}.png")
    english, chinese = made.alt
    assert not re.search("[\u4e00-\u9fff]", english) and re.search("[\u4e00-\u9fff]", chinese)
    numbers = [sorted(re.findall(r"\d+\.\d+", said)) for said in made.alt]
    assert numbers[0] == numbers[1], "both languages say the same"


def test_every_family_draws():
    assert CHEAPEST.keys() == members.FAMILIES.keys()
    for family, name in CHEAPEST.items():
        assert name in members.members(family)


@pytest.mark.all_only
def test_a_posterior_that_bends_misses_less_of_a_bent_target():
    missed = {}
    for name in ("diagonal", "iaf"):
        said, _ = figures.picture("posteriors", name).alt
        missed[name] = float(re.search(r"misses log p\(x\) by ([\d.]+)", said)[1])
    assert missed["iaf"] < missed["diagonal"] - 0.1


def test_a_figure_is_drawn_once_and_left_out_where_nothing_new_is_asked_for(tmp_path, monkeypatch):
    wanted = [("models", "Bounds")]
    assert figures.draw(wanted, tmp_path, new=False) == {}
    first = figures.draw(wanted, tmp_path)["models", "Bounds"]
    assert {path.name for path in tmp_path.glob("*.png")} == set(first.files.values())

    def never(family, name):
        raise AssertionError("drawn again")

    monkeypatch.setattr(figures, "picture", never)
    assert figures.draw(wanted, tmp_path)["models", "Bounds"] == first
    monkeypatch.setattr(figures, "digest", lambda family, name: "other")
    with pytest.raises(AssertionError, match="drawn again"):
        figures.draw(wanted, tmp_path)


def test_a_page_shows_its_figure_with_its_words(tmp_path):
    drawn = figures.draw([("models", "Bounds")], tmp_path)
    for language in ("en", "zh"):
        page = members.pages(language, drawn)["members/models/Bounds.md"]
        alt, file = re.search(r"!\[(.+)\]\(\.\./figures/(.+)\)", page).groups()
        assert (tmp_path / file).exists() and page.count(alt) == 2


def test_a_new_member_is_drawn_as_its_family_and_one_that_cannot_be_is_named_with_the_file():
    from tfp_vae.distributions.priors import PRIORS, StandardNormal

    with PRIORS.temporary():
        PRIORS.register("mine", "a prior of a user")(type("Mine", (StandardNormal,), {}))
        assert "prior mine" in figures.picture("priors", "mine").alt[0]
    with pytest.raises(ValueError, match=r"priors nobody cannot be drawn.*docs/figures/priors\.py"):
        figures.picture("priors", "nobody")


def test_no_chinese_stands_beside_mathematics_whose_fonts_do_not_have_it():
    beside = re.compile('"[^"\n]*[\u4e00-\u9fff][^"\n]*[$]|"[^"\n]*[$][^"\n]*[\u4e00-\u9fff]')
    for path in figures.FOLDER.glob("*.py"):
        assert not beside.search(path.read_text(encoding="utf-8")), path.name
