"""What a model can be asked: a family of answers, each a file that says which models have it.

    @SIGNATURES.register("decode", "the mean of p(x|z)")
    class Decode(Answer): ...

`applies` says of one model why it has no such answer, which leaves the others to it.
"""

import abc
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from tfp_vae.arguments import check_count
from tfp_vae.data import Split
from tfp_vae.export.signatures.base import Signature
from tfp_vae.registry import Registry

SIGNATURES = Registry(
    "tfp_vae.export.signatures",
    "signature",
    ("encode", "decode", "reconstruct", "sample", "elbo", "log_evidence"),
)
EXPECTED_MODEL = (
    "Expected a VAE, a ConditionalVAE, an M2, a BayesianNetwork, an Ensemble or a WeightPosterior"
)


class Subject(abc.ABC):
    """A model that is asked, and what its answers have in common.

    Attributes:
        model: the trained model.
        num_samples: S of the signatures that draw.
    """

    @classmethod
    @abc.abstractmethod
    def of(cls, predictor, num_samples: int) -> "Subject | None":
        """Returns the subject, or None if it is one of another sort."""

    @abc.abstractmethod
    def recorded(self, split: Split, index: np.ndarray) -> "dict[str, np.ndarray]":
        """Returns the data inputs of all signatures by name, of real examples."""


class Answer(abc.ABC):
    """One answer of a subject.

    Attributes:
        name: of the signature.
        asks: the class of the subjects that it is about.
    """

    name: ClassVar[str]
    asks: ClassVar[type[Subject]]

    def __init__(self, subject: Subject):
        self.subject = subject

    @classmethod
    def concerns(cls, subject: Subject) -> bool:
        """Whether the question makes sense for the subject at all."""
        return isinstance(subject, cls.asks)

    def applies(self) -> str | None:
        """Returns None, or why this model has no such answer, in one line."""
        return None

    @abc.abstractmethod
    def signature(self) -> Signature:
        """Returns the signature of a model that it applies to."""


def reason_against(ask: Callable[[], object]) -> str | None:
    """Returns None, or what an error says, in one line, if something cannot be done."""
    try:
        ask()
    except Exception as error:  # a user's own distribution may raise anything
        return " ".join(str(error).split())[:300] or type(error).__name__
    return None


def subject_of(predictor, num_samples: int) -> Subject:
    """Returns what is asked.

    Args:
        predictor: a model or a posterior over the weights of one.
        num_samples: S of what draws.

    Raises:
        ValueError: for anything else, or an S below 1.
    """
    num_samples = check_count("num_samples", num_samples)
    for kind in dict.fromkeys(answer.asks for answer in SIGNATURES.values()):
        subject = kind.of(predictor, num_samples)
        if subject is not None:
            return subject
    raise ValueError(
        f"There are no signatures of this. {EXPECTED_MODEL}. Received {type(predictor).__name__}."
    )


def answers_of(subject: Subject) -> "tuple[tuple[Signature, ...], dict[str, str]]":
    """Returns the signatures of a model, and {name: why it has no such signature} of others."""
    found, refused = [], {}
    for kind in SIGNATURES.values():
        if not kind.concerns(subject):
            continue
        answer = kind(subject)
        reason = answer.applies()
        if reason is None:
            found.append(answer.signature())
        else:
            refused[kind.name] = reason
    return tuple(found), refused


def signatures_of(predictor, num_samples: int) -> "tuple[Signature, ...]":
    """Returns the signatures that a trained model has.

    Args:
        predictor: a model or a posterior over the weights of one.
        num_samples: S of what draws.

    Raises:
        ValueError: for anything else, or an S below 1.
    """
    return answers_of(subject_of(predictor, num_samples))[0]
