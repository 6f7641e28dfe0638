"""What setup.cfg cannot say: where the programs go, and the pages of the repository."""

import email
import pathlib
import re
import subprocess

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).resolve().parent


def project_urls(remote: str) -> dict[str, str]:
    """Returns the public pages of a repository by the address it was cloned from.

    A path, a host of one word, a port and a password name no public page: {}.
    """
    host, path = r"([\w-]+(?:\.[\w-]+)+)", r"([\w.-]+/[\w./-]*?[\w-])(?:\.git)?/?"
    url, scp = rf"(?:https://|ssh://git@){host}/{path}", rf"git@{host}:{path}"
    found = re.fullmatch(url, remote.strip()) or re.fullmatch(scp, remote.strip())
    if not found:
        return {}
    page = "https://" + "/".join(found.groups())
    inner = page + "/-" if found[1].startswith("gitlab.") else page
    return {
        "Source": page,
        "Issues": f"{inner}/issues",
        "Changes": f"{inner}/blob/HEAD/CHANGELOG.md",
    }


def known_urls() -> dict[str, str]:
    """Returns the pages of the checkout, or those that a source distribution was made with."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "config", "--get", "remote.origin.url"]
        try:
            return project_urls(subprocess.run(command, capture_output=True, text=True).stdout)
        except OSError:  # no git
            return {}
    made = ROOT / "PKG-INFO"
    if not made.exists():
        return {}
    lines = email.message_from_string(made.read_text(encoding="utf-8")).get_all("Project-URL", [])
    return dict(line.split(", ", 1) for line in lines)


if __name__ == "__main__":
    setup(
        # The programs of experiments/ are installed as tfp_vae.programs.
        packages=[*find_packages(include=["tfp_vae", "tfp_vae.*"]), "tfp_vae.programs"],
        package_dir={"tfp_vae.programs": "experiments"},
        project_urls=known_urls(),
    )
