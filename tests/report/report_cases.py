"""A made-up comparison of seven models with all tasks. Its numbers were invented for the tests."""

import copy
import struct
import zlib

MODELS = {
    "conditional_vae": ("vae", 118_410, 41.2),
    "vae_probe": ("vae", 120_330, 38.9),
    "bayesian_decoder_vae": ("vae", 236_020, 96.4),
    "bnn": ("network", 102_700, 33.1),
    "ml": ("network", 51_350, 9.7),
    "mc_dropout": ("network", 51_350, 12.4),
    "ensemble": ("network", 256_750, 44.8),
}
NAMES = list(MODELS)
ACCURACY = dict(zip(NAMES, (0.953, 0.961, 0.949, 0.968, 0.967, 0.97, 0.987), strict=True))
NLL = dict(zip(NAMES, (0.171, 0.152, 0.182, 0.118, 0.139, 0.108, 0.071), strict=True))
ECE = dict(zip(NAMES, (0.031, 0.022, 0.034, 0.014, 0.027, 0.013, 0.012), strict=True))
SCORES = {
    "ensemble": {"entropy": 0.941, "mutual_information": 0.962},
    "bnn": {"entropy": 0.903, "mutual_information": 0.911},
    "mc_dropout": {"entropy": 0.896, "mutual_information": 0.884},
    "ml": {"entropy": 0.872},
    "conditional_vae": {"log_px": 0.431, "typicality": 0.934},
    "vae_probe": {"log_px": 0.387, "entropy": 0.861},
    "bayesian_decoder_vae": {"log_px": 0.524, "typicality": 0.929},
}


def result(task, model, metric, mean, half, condition="", level=None, n=3):
    """Returns one entry of "results" with the interval mean -+ half."""
    return {
        "task": task,
        "condition": condition,
        "level": level,
        "model": model,
        "metric": metric,
        "mean": mean,
        "lower": mean - half,
        "upper": mean + half,
        "n": n,
    }


def only(results, **wanted):
    """Returns the entries of "results" with these values."""
    return [r for r in results if all(r[key] == value for key, value in wanted.items())]


def _results():
    found = []
    for i, name in enumerate(NAMES):
        vae = MODELS[name][0] == "vae"
        found += [
            result("classification", name, "accuracy", ACCURACY[name], 0.006),
            result("classification", name, "nll", NLL[name], 0.0123),
            result("classification", name, "ece", ECE[name], 0.004),
            result("classification", name, "brier", NLL[name] / 2.3, 0.0071),
        ]
        for j, condition in enumerate(("noise", "blur", "rotation")):
            for level in (1, 2, 3):
                kept = 1 - level * (0.045 + 0.012 * j) * (0.55 if vae else 1)
                mean = ACCURACY[name] * kept
                found.append(result("corruptions", name, "accuracy", mean, 0.009, condition, level))
                found.append(
                    result("corruptions", name, "nll", NLL[name] + 1 - kept, 0.03, condition, level)
                )
        for j, inputs in enumerate(("letters", "uniform_noise")):
            for score, mean in SCORES[name].items():
                found.append(
                    result("ood", name, "auroc", mean + 0.02 * j, 0.007, f"{inputs}/{score}")
                )
        for k, level in enumerate((50, 100, 500, 1000)):
            mean = (0.84 if name == "vae_probe" else 0.62 + 0.01 * i) + 0.035 * k
            found.append(result("labels", name, "accuracy", mean, 0.021, level=level))
        for level in (0.25, 0.5, 0.75):
            mean = ACCURACY[name] - level * (0.21 if vae else 0.55) + 0.001 * i
            found.append(result("missing", name, "accuracy", mean, 0.011, "random", level))
        if vae:
            found.append(result("generation", name, "log_likelihood", -24.1 - i, 0.31))
            found.append(result("generation", name, "elbo", -25.6 - i, 0.29))
        found.append(result("cost", name, "milliseconds", 0.31 * (1 + i**1.5), 0.02, "prediction"))
    return found


_REPORT = {
    "dataset": {
        "name": "digits",
        "title": "Digits of scikit-learn",
        "num_train": 1078,
        "num_validation": 359,
        "num_test": 360,
        "shape": [8, 8, 1],
        "num_classes": 10,
        "digest": "sha256:9f2c4e71d0a853b6e1",
    },
    "settings": {"budget": "quick", "seeds": 3, "match": "parameters", "hidden": [200, 200]},
    "command": "python -m experiments.compare --dataset=digits --budget=quick --seeds=3",
    "versions": {"python": "3.12.1", "tfp_vae": "0.1.0", "tensorflow": "2.21.0"},
    "machine": "2 cores, 8 GiB, no accelerator",
    "seconds": 812.5,
    "models": {
        name: {"family": family, "parameters": parameters, "train_seconds": seconds}
        for name, (family, parameters, seconds) in MODELS.items()
    },
    "failures": [
        {
            "model": "mc_dropout",
            "seed": 2,
            "stage": "missing",
            "error": "ValueError: The loss is not finite. Expected a finite loss. Received nan.",
        }
    ],
    "results": _results(),
    "pairs": [],
    "figures": [
        {
            "task": "classification",
            "name": "reliability",
            "file": "reliability.png",
            "alt": "Reliability of seven models: accuracy over confidence.",
            "caption": "How often predictions of a given confidence are right.",
        },
        {
            "task": "corruptions",
            "name": "accuracy_under_corruption",
            "file": "corruptions.png",
            "alt": "Accuracy over the strength of noise, blur and rotation.",
        },
        {
            "task": "generation",
            "name": "samples",
            "file": "samples.png",
            "alt": "Sixteen digits drawn from each VAE.",
        },
    ],
}


def comparison():
    """Returns the made-up comparison; each call a new one, to change as a test wants it."""
    return copy.deepcopy(_REPORT)


def png(width=60, height=40, shade=120):
    """Returns the bytes of a grey picture."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pictures(report):
    """Returns a PNG for every figure; that of corruptions has a dark variant."""
    found = {figure["file"]: png() for figure in report["figures"]}
    if "corruptions.png" in found:
        found["corruptions-dark.png"] = png(shade=20)
    return found
