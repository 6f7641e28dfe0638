"""What trains fastest is measured, kept for the next start, and read as numbers alone."""

import json
import math

import pytest
import tensorflow as tf

from tfp_vae import processor
from tfp_vae.training import precision
from tfp_vae.training.precision import MARGIN, Way, fastest

STACKS = [[8, 4, 6], [3, 4, 8]]
FLOAT, HALF = Way("float32", True), Way("mixed_bfloat16", False)
WAYS = [FLOAT, HALF]


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (precision.VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path


@pytest.fixture
def measured(home, monkeypatch):
    """A list of what is measured, by ways that take as many milliseconds as `measured.took`."""

    class Measured(list):
        took = (2.0, 1.0)

    found = Measured()

    def measure(stacks, rows, ways):
        found.append((stacks, rows, ways))
        return list(found.took)

    monkeypatch.setattr(precision, "_measured", measure)
    return found


@pytest.mark.parametrize(
    ("took", "chosen"),
    [
        ((2.0, 1.0), HALF),
        ((1.0, 2.0), FLOAT),
        ((MARGIN, 1.0), HALF),
        ((MARGIN * 0.999, 1.0), FLOAT),  # faster, and not by enough
    ],
)
def test_another_way_is_taken_where_it_is_faster_by_the_margin(measured, took, chosen):
    measured.took = took
    found = fastest(STACKS, 16, WAYS)
    assert found.way == chosen
    assert found.milliseconds == dict(zip(map(str, WAYS), took, strict=True))
    for part in ("8-4-6 and 3-4-8", "16 rows", f"float32 under XLA {took[0]:.3g} ms", "now"):
        assert part in str(found)
    assert "\n" not in str(found)


def test_what_was_measured_is_kept_for_its_processor_sizes_threads_and_ways(
    home, measured, monkeypatch
):
    first = fastest(STACKS, 16, WAYS)
    again = fastest(STACKS, 16, WAYS)
    assert (first.kept, again.kept) == (False, True)
    assert again[:2] == first[:2]
    assert "measured before" in str(again)
    assert len(measured) == 1
    folder = home / ".cache" / "tfp_vae" / "precision"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len([*folder.iterdir()]) == 1
    fastest(STACKS, 17, WAYS)
    fastest([[8, 4, 6]], 16, WAYS)
    fastest(STACKS, 16, WAYS[::-1])
    monkeypatch.setattr(precision, "computing", lambda: "another")
    fastest(STACKS, 16, WAYS)
    monkeypatch.setattr(precision, "_threads", lambda: 1000)
    fastest(STACKS, 16, WAYS)
    monkeypatch.setattr("tensorflow.__version__", "0.0")
    fastest(STACKS, 16, WAYS)
    assert len(measured) == len([*folder.iterdir()]) == 7
    fastest(STACKS, 10**6, WAYS)
    fastest(STACKS, 10**7, WAYS)  # as fast by the row
    assert measured[-1][1] == precision.MOST_ROWS
    assert len(measured) == 8


def test_a_file_that_is_no_measurement_is_measured_anew_and_replaced(home, measured):
    fastest(STACKS, 16, WAYS)
    (path,) = (home / ".cache" / "tfp_vae" / "precision").iterdir()
    good = path.read_bytes()
    known = json.loads(good)
    names = list(map(str, WAYS))
    broken = [b"", good[:-9], b"[1]", b"{}", b"\xff\xfe", b"[" * 50000, good + bytes(2**17)]
    for wrong in (-1.0, 0, math.nan, math.inf, "fast", None, [1]):
        broken.append(json.dumps({**known, "milliseconds": dict.fromkeys(names, wrong)}).encode())
    broken.append(json.dumps({**known, "milliseconds": {names[0]: 1.0}}).encode())
    broken.append(json.dumps({**known, "key": {**known["key"], "rows": 3}}).encode())
    for count, content in enumerate(broken, 2):
        path.write_bytes(content)
        assert not fastest(STACKS, 16, WAYS).kept
        assert len(measured) == count
        assert path.read_bytes() == good


def test_nothing_is_kept_where_that_is_asked_for_or_others_could_write(home, measured, monkeypatch):
    monkeypatch.setenv(precision.VARIABLE, "")
    assert not fastest(STACKS, 16, WAYS).kept
    assert not fastest(STACKS, 16, WAYS).kept
    assert [*home.iterdir()] == []
    shared = home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv(precision.VARIABLE, str(shared))
    assert not fastest(STACKS, 16, WAYS).kept
    assert [*shared.iterdir()] == []
    shared.chmod(0o700)
    fastest(STACKS, 16, WAYS)
    assert fastest(STACKS, 16, WAYS).kept
    monkeypatch.setenv(precision.VARIABLE, str(next(shared.iterdir())))  # a file
    assert not fastest(STACKS, 16, WAYS).kept


def _products(way):
    """Returns the types of the products in a step."""
    sizes = [(8, 4), (4, 6), (3, 4), (4, 8)]
    kernels, first, second = ([tf.Variable(tf.ones(size)) for size in sizes] for _ in range(3))
    run = precision._run(STACKS, 5, way, kernels, first, second)
    library = run.get_concrete_function().graph.as_graph_def().library
    nodes = [node for function in library.function for node in function.node_def]
    return [tf.dtypes.as_dtype(node.attr["T"].type) for node in nodes if node.op == "MatMul"]


def test_a_step_has_its_products_forward_and_backward_in_the_precision_of_its_way():
    # Of four layers: forward, to the kernel, and to all inputs but the noise.
    for way, dtype in ((Way("float32", False), tf.float32), (HALF, tf.bfloat16)):
        assert _products(way) == [dtype] * (4 + 4 + 3)


def test_real_figures_are_milliseconds_of_each_way(home):
    found = fastest(STACKS, 4, [HALF])
    ((name, value),) = found.milliseconds.items()
    assert name == "mixed_bfloat16 outside XLA"
    assert 0 < value < math.inf
    assert fastest(STACKS, 4, [HALF]).milliseconds == found.milliseconds


@pytest.mark.release_only
def test_a_step_is_timed_under_xla_too(home):
    assert fastest(STACKS, 4, [Way("float32", True)]).way.jit


def test_half_precision_leaves_xla_on_processors_and_stays_under_it_on_cards(monkeypatch):
    cards = []
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: cards)
    for known, open_ways in ((True, 2), (None, 2), (False, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(precision, "has_bfloat16", lambda known=known: known)
            half = [Way("mixed_bfloat16", True), HALF]
            assert precision.ways("mixed_bfloat16") == half[:open_ways]
    assert precision.ways("auto") == WAYS
    assert precision.ways("auto", jit=False) == [Way("float32", False), HALF]
    assert precision.ways("mixed_bfloat16", jit=False) == [HALF]
    assert precision.ways("float32") == [FLOAT]
    cards.append("card")
    assert precision.ways("auto") == [FLOAT, Way("mixed_bfloat16", True)]
    assert precision.ways("mixed_bfloat16") == [Way("mixed_bfloat16", True)]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("model name\t: Some\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("model name\t: Some\nflags\t\t: fpu amx_tile amx_bf16\n", True),
        ("model name\t: Some\nflags\t\t: fpu avx2\n", False),
        ("Features\t: fp asimd bf16\n", True),
        ("nothing of the kind\n", None),
        (None, None),
    ],
)
def test_instructions_are_those_that_the_processor_names(tmp_path, monkeypatch, text, known):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert precision.has_bfloat16() is known
    assert ("bf16" in precision.computing()) == bool(known)


@pytest.mark.parametrize("stacks", [[[8]], [[8, 0]], [[8, 4], [5, 2]]])
def test_sizes_that_do_not_fit_are_refused(measured, stacks):
    with pytest.raises(ValueError, match=r"Unusable sizes.*Expected.*Received"):
        fastest(stacks, 16, WAYS)
    with pytest.raises(ValueError, match="rows=0"):
        fastest(STACKS, 0, WAYS)
    assert measured == []
