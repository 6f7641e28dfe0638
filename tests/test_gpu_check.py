"""What checks a GPU: it names tests that there are, and without a GPU it leaves nothing."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
REPORT = """<testsuites><testsuite>
<testcase classname="a" name="one" time="1.5"/>
<testcase classname="a" name="two" time="0.5"><failure/></testcase>
<testcase classname="a" name="three" time="0"><skipped/></testcase>
</testsuite></testsuites>"""
CODE = f"""
import json, gpu
from experiments import cli
print(json.dumps([gpu.PARTS, gpu.counted({REPORT!r})]), flush=True)
gpu.start, gpu.gpus = lambda: None, lambda: []
cli.run(gpu.main)
"""


def test_the_check_of_a_gpu_names_tests_that_there_are_and_without_one_writes_nothing(tmp_path):
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts" / "benchmarks")])
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("error: There is no GPU. Expected")
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []
    parts, counted = json.loads(done.stdout)
    for name in (name for names in parts.values() for name in names):
        file, _, test = name.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {test or 'test_'}" in text, name
    assert (counted["passed"], counted["failed"], counted["skipped"]) == (1, 1, 1)
    assert (counted["seconds"], counted["failures"]) == (2.0, ["a::two"])
