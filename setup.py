"""What setup.cfg cannot say: the programs of experiments/ are installed as tfp_vae.programs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["tfp_vae", "tfp_vae.*"]), "tfp_vae.programs"],
    package_dir={"tfp_vae.programs": "experiments"},
)
