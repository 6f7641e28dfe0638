"""Who does what: the items of work, and the processes that do them."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).parent
OURS = "tfp_vae"


@dataclasses.dataclass(frozen=True)
class Item:
    """A piece of work.

    Attributes:
        title: what is done.
        contestants: name -> (environment, file, variant); ours is first.
        goals: name of a peer -> how many times its speed ours should be.
        batch_size: examples per step.
        examples: of a block.
        data: what it works on, "images" or "splits" of a table, which have all their examples.
        flops: floating-point operations per example in matrix products, 2 per multiply-add;
            training has three products for each one of the forward pass. 0 where not counted.
    """

    title: str
    contestants: dict
    goals: dict
    batch_size: int = 128
    examples: int = 38_400
    data: str = "images"
    flops: int = 0


_MLP = 784 * 400 + 400 * 40 + 20 * 400 + 400 * 784
_DENSE = 784 * 400 + 400 * 400 + 400 * 10
# Two stride-2 convolutions to 14 x 14 x 32 and 7 x 7 x 64 and a dense layer; the latents; a dense
# layer, two transposed convolutions to 14 x 14 x 64 and 28 x 28 x 32, and a 1x1 convolution.
_CONV = 196 * 9 * 32 + 49 * 9 * 32 * 64 + 3136 * 128 + 128 * 32 + 16 * 128
_CONV += 128 * 3136 + 49 * 9 * 64 * 64 + 196 * 9 * 64 * 32 + 784 * 32


def _bayesian(title, estimator, others=()) -> Item:
    peers = {
        "PyTorch, tuned": ("torch", "torch_peer.py", estimator),
        "TFP layers": ("", "tfp_peer.py", estimator),
        **dict(others),
    }
    return Item(
        f"training of a Bayesian network 784-400-400-10, {title}, batch 128",
        {OURS: ("", "ours.py", estimator), **peers},
        {name: 1.6 if name == "PyTorch, tuned" else 2.2 for name in peers},
        examples=19_200,
        flops=2 * 6 * _DENSE,
    )


def _prior(title, prior) -> Item:
    return Item(
        f"training of V1's network with {title}, batch 128",
        {
            OURS: ("", "ours.py", prior),
            f"{OURS}, standard normal": ("", "ours.py", "standard"),
            "PyTorch, tuned": ("torch", "torch_peer.py", prior),
            "PyTorch, standard normal": ("torch", "torch_peer.py", "standard"),
        },
        {"PyTorch, tuned": 1.2},
        examples=25_600,
    )


def _splits(title) -> Item:
    alone = {"one by one, graph": "alone, graph", "one by one, XLA": "alone, XLA"}
    return Item(
        f"20 splits of a table x 5 networks of one layer of 50, together, {title}",
        {
            OURS: ("", "splits.py", "together"),
            **{name: ("", "splits.py", variant) for name, variant in alone.items()},
        },
        dict.fromkeys(alone, 10.0),
        data="splits",
    )


ITEMS = {
    "V1": Item(
        "training of a VAE 784-400-20, batch 128, float32",
        {
            OURS: ("", "ours.py", ""),
            "JAX, scanned epoch": ("jax", "jax_peer.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "PyTorch, DataLoader": ("torch", "torch_peer.py", "usual"),
            "TFP layers": ("", "tfp_peer.py", ""),
            "pythae": ("torch", "pythae_peer.py", ""),
            "Keras fit": ("", "keras_peer.py", ""),
            "Keras fit, XLA": ("", "keras_peer.py", "xla"),
        },
        {
            "JAX, scanned epoch": 1.05,
            "PyTorch, tuned": 1.25,
            "PyTorch, DataLoader": 1.9,
            "TFP layers": 3.0,
            "pythae": 3.0,
            "Keras fit": 3.0,
        },
        flops=6 * _MLP,
    ),
    "I50": Item(
        "training of V1's network on the importance-weighted bound of 50 draws, batch 128",
        {
            OURS: ("", "ours.py", "50"),
            "JAX, scanned epoch": ("jax", "jax_peer.py", "50"),
            "PyTorch, tuned": ("torch", "torch_peer.py", "50"),
        },
        {"PyTorch, tuned": 1.2, "JAX, scanned epoch": 1.2},
        examples=2_560,
        flops=6 * (784 * 400 + 400 * 40 + 50 * (20 * 400 + 400 * 784)),
    ),
    "V2": Item(
        "training of V1's network, batch 512, best precision",
        {
            OURS: ("", "ours.py", ""),
            f"{OURS}, bfloat16": ("", "ours.py", "bfloat16"),
            "JAX, scanned epoch": ("jax", "jax_peer.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "PyTorch, bfloat16": ("torch", "torch_peer.py", "bfloat16"),
        },
        {"PyTorch, bfloat16": 1.0, "JAX, scanned epoch": 1.5},
        batch_size=512,
        flops=6 * _MLP,
    ),
    "V3": Item(
        "training of a convolutional VAE, batch 128",
        {
            OURS: ("", "ours.py", ""),
            f"{OURS}, XLA": ("", "ours.py", "xla"),
            "PyTorch, tuned": ("torch", "torch_peer.py", "tuned"),
            "Keras fit": ("", "keras_peer.py", ""),
        },
        {"PyTorch, tuned": 1.0, "Keras fit": 1.6},
        examples=2_560,
        flops=6 * _CONV,
    ),
    "B1": _bayesian("local reparameterization", "local"),
    "B1f": _bayesian(
        "flipout", "flipout", {"bayesian-torch": ("torch", "bayesian_torch_peer.py", "")}
    ),
    "E1": Item(
        "log p(x) of 1,000 images, S = 500, model of V1",
        {
            OURS: ("", "ours.py", ""),
            "PyTorch, tuned": ("torch", "torch_peer.py", ""),
            "pythae": ("torch", "pythae_peer.py", ""),
        },
        {"PyTorch, tuned": 1.3, "pythae": 4.0},
        flops=2 * 500 * (20 * 400 + 400 * 784),
    ),
    "AIS1": Item(
        "log p(x) of 100 images by annealing, 1,000 steps of 3 leapfrogs, 16 chains, model of V1",
        {
            OURS: ("", "ours.py", "1000"),
            "JAX, scanned steps": ("jax", "jax_peer.py", "1000"),
            "PyTorch, tuned": ("torch", "torch_peer.py", "1000"),
        },
        {"PyTorch, tuned": 1.2, "JAX, scanned steps": 1.2},
        # Forward, and back to z, which needs as much.
        flops=2 * 2 * 16 * 1000 * 3 * (20 * 400 + 400 * 784),
    ),
    "PM": _prior("a mixture of 100 normals as prior", "mixture"),
    "PV": _prior("a VampPrior of 100 pseudo-inputs", "vamp"),
    "PF": _prior("a flow of 6 couplings as prior", "flow"),
    "U1": _splits("tracing and compiling included"),
    "U1c": _splits("compiled before"),
}


class Contestant:
    """A process that works when told to.

    Args:
        name: of the contestant.
        environment: of a peer; "" for our own.
        file: beside this one.
        arguments: of the file.
        checkout: another checkout of this project whose code works instead, in its own
            environment if it has one.
        variables: of the process's environment, beside those of this one.

    Attributes:
        first: seconds of its first block, in which it traces and compiles.
    """

    def __init__(self, name, environment, file, arguments, checkout=None, variables=None):
        python, file = sys.executable, HERE / file
        variables = os.environ | (variables or {})
        if checkout:
            root = pathlib.Path(checkout).absolute()
            file = root / "scripts" / "benchmarks" / file.name
            if not file.exists():
                raise ValueError(
                    f"{name} is no checkout of this project. Expected {file}. Received none."
                )
            own = root / ".venv" / "bin" / "python"
            python = own if own.exists() else python
            variables |= {"PYTHONPATH": str(root)}
        elif environment:
            python = pathlib.Path(os.environ.get("TFP_VAE_PEERS", "")) / environment / "bin/python"
        if not pathlib.Path(python).exists():
            raise ValueError(
                f"{name} has no environment. Expected scripts/benchmark --setup before. Received "
                f"no {python}."
            )
        self.name, self.results = name, []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(python), str(file), *arguments],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.first = self._answer()["first"]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines()[-1:] or ["nothing"]
            raise ValueError(f"{self.name} gave up. Expected an answer. Received: {last[0]}")
        return json.loads(line)

    def work(self) -> None:
        """Lets it run one block."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.results.append(self._answer())

    def close(self):
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()

    @property
    def rates(self) -> np.ndarray:
        """Examples per second, by round."""
        return np.array([each["examples"] / each["seconds"] for each in self.results])
