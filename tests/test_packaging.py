"""What is installed: one package, its programs and presets, one command, one version."""

import configparser
import email
import pathlib
import runpy
import shutil
import subprocess
import sys
import zipfile

import pytest

import tfp_vae

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Returns the wheel of the project, or skips the test by name."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("tfp_vae", "experiments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "other").mkdir()  # a package of somebody's own, beside
    (source / "other" / "__init__.py").write_text("")
    # A checkout that was cloned: of git, setup.py asks for the address alone.
    (source / ".git").mkdir()
    for name in ("objects", "refs"):
        (source / ".git" / name).mkdir()
    (source / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (source / ".git" / "config").write_text(
        '[remote "origin"]\n\turl = git@git.example.org:somebody/tfp_vae.git\n'
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
    where = ["--wheel-dir", str(folder), str(source)]
    # Offline first, with what is installed; else with what pip fetches to build.
    for isolation in (["--no-build-isolation"], []):
        done = subprocess.run([*pip, *isolation, *where], capture_output=True, text=True)
        if done.returncode == 0:
            (path,) = folder.glob("*.whl")
            return zipfile.ZipFile(path)
    pytest.skip(f"skipped: no wheel can be built here ({done.stderr.strip()[-200:]})")


@pytest.mark.always(reason="nothing else looks at the wheel")
def test_the_wheel_has_tfp_vae_at_its_top_and_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"tfp_vae", f"tfp_vae-{tfp_vae.__version__}.dist-info"}


def test_the_wheel_has_every_file_of_the_checkout_but_results(wheel):
    for folder, inside in (("tfp_vae", "tfp_vae"), ("experiments", "tfp_vae/programs")):
        for path in (ROOT / folder).rglob("*"):
            left_out = {"__pycache__", "results"} & set(path.relative_to(ROOT).parts)
            if path.is_file() and not left_out and path.suffix != ".md":
                name = f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
                assert name in wheel.namelist(), name
                assert wheel.read(name) == path.read_bytes()


def test_the_wheel_has_one_command(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == {"tfp-vae": "tfp_vae.programs.__main__:main"}


def test_the_installed_command_runs_without_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); sys.argv = ['tfp-vae', 'train-vae', "
        "'--preset=mnist-hour', '--dataset=minst']\n"
        "from tfp_vae.programs.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "Did you mean mnist?" in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("git"), reason="skipped: the address is asked of git")
def test_the_wheel_names_the_pages_of_the_repository_it_was_built_from(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    page = "https://git.example.org/somebody/tfp_vae"
    urls = email.message_from_bytes(wheel.read(name)).get_all("Project-URL")
    assert urls == [
        f"Source, {page}",
        f"Issues, {page}/issues",
        f"Changes, {page}/blob/HEAD/CHANGELOG.md",
    ]


def test_only_an_address_of_a_public_page_becomes_one():
    names = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
    project_urls = names["project_urls"]
    for remote in (
        "https://github.com/a/tfp_vae",
        "https://github.com/a/tfp_vae.git\n",
        "git@github.com:a/tfp_vae.git",
        "ssh://git@github.com/a/tfp_vae",
    ):
        assert project_urls(remote)["Source"] == "https://github.com/a/tfp_vae"
        assert project_urls(remote)["Issues"] == "https://github.com/a/tfp_vae/issues"
    assert project_urls("https://gitlab.com/a/b/c.git")["Issues"].endswith("/a/b/c/-/issues")
    for remote in (
        "",
        "/home/somebody/tfp_vae",
        "file:///srv/tfp_vae",
        "https://name:secret@github.com/a/tfp_vae",
        "somebody@machine:tfp_vae",
        "git@machine:a/tfp_vae.git",
        "https://github.com/",
        "https://git.example.org:8443/a/b",
    ):
        assert project_urls(remote) == {}, remote


def test_a_source_distribution_keeps_the_pages_of_its_checkout(tmp_path):
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "PKG-INFO").write_text(
        "Metadata-Version: 2.4\nName: tfp_vae\nProject-URL: Source, https://a.org/b/c\n\nText: no\n"
    )
    names = runpy.run_path(str(tmp_path / "setup.py"), run_name="setup")
    assert names["known_urls"]() == {"Source": "https://a.org/b/c"}
    (tmp_path / "PKG-INFO").unlink()
    assert runpy.run_path(str(tmp_path / "setup.py"), run_name="setup")["known_urls"]() == {}


def test_the_citation_has_the_version_of_the_package():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {tfp_vae.__version__}\n" in text


def test_late_names_are_those_that_are_listed():
    assert set(tfp_vae.__all__) <= set(dir(tfp_vae))
    for names in tfp_vae._ELSEWHERE.values():
        assert set(names) <= set(tfp_vae.__all__)
    with pytest.raises(AttributeError, match="no attribute 'VEA'"):
        tfp_vae.VEA  # noqa: B018
