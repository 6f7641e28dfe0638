"""score: how unusual an example is, by a `Detector`, with its threshold inside."""

import types

import tensorflow as tf

from tfp_vae.evaluation import Detector
from tfp_vae.evaluation.ood.base import SCORES
from tfp_vae.export.signatures.answers import SIGNATURES, Answer, reason_against
from tfp_vae.export.signatures.base import Signature, Value
from tfp_vae.export.signatures.latents import Latents


class Detected(Latents):
    """A VAE that a detector stands around: what the VAE answers, and scores."""

    def __init__(self, detector: Detector, num_samples: int):
        super().__init__(detector.model, num_samples)
        self.detector = detector

    @classmethod
    def of(cls, predictor, num_samples):
        """Returns the subject of a detector."""
        return cls(predictor, num_samples) if isinstance(predictor, Detector) else None


@SIGNATURES.register("score", "how unusual an example is, and whether it is flagged")
class Score(Answer):
    """`score`: the same scores and flags as in Python, its noise included as constants.

    Not p-values: they move by a whole rank where a score equals a held-out one within rounding, and
    are read off the held-out scores.
    """

    name = "score"
    asks = Detected
    subject: Detected

    def applies(self):
        """Returns why the score is no function of an example by operations that all have."""
        detector = self.subject.detector
        if not SCORES[detector.score_name].portable:
            return f"{detector.score_name!r} is no function of tensors"
        return reason_against(detector.noise)

    def signature(self):
        """Returns the signature."""
        detector, x = self.subject.detector, self.subject.x
        threshold, rate = detector.threshold, detector.false_positive_rate
        noise, score = detector.noise(), SCORES[detector.score_name]()

        def scored(x):
            found = detector.tensors(x, noise)
            seen = types.SimpleNamespace(
                log_evidence=found["evidence"],
                elbo=found["elbo"],
                reference=detector.reference,
            )
            each = score(seen)
            one = tf.ones_like(each)
            return {
                "score": each,
                "flagged": tf.where(each > threshold, one, 0.0),
                "parts": found["values"],
            }

        outputs = (
            Value("score", ("B",), f"{detector.score_name}, nats"),
            Value("flagged", ("B",), f"1 above {threshold:g}, which {rate:g} of usual ones are"),
            Value("parts", x.shape, "what each value costs, nats"),
        )
        meaning = f"how unusual an example is, of which {rate:g} of usual ones are flagged"
        return Signature(self.name, meaning, (x,), outputs, scored)
