"""cover: an interval, or a set of classes, that holds the target as often as stated."""

import tensorflow as tf

from tfp_vae.conformal import Seen
from tfp_vae.conformal.calibration import ALL
from tfp_vae.export.signatures.answers import SIGNATURES, Answer
from tfp_vae.export.signatures.base import Value
from tfp_vae.export.signatures.targets import Targets, uncertainty


@SIGNATURES.register("cover", "interval, or set of classes, that covers")
class Cover(Answer):
    """`cover`: of a predictor that was calibrated, at the level of its calibration."""

    name = "cover"
    asks = Targets
    subject: Targets

    @classmethod
    def concerns(cls, subject):
        """Whether the predictor was calibrated."""
        return super().concerns(subject) and subject.predictor.conformal is not None

    def applies(self):
        """Returns why its regions are not functions of an example by operations that all have."""
        conformal = self.subject.predictor.conformal
        if list(conformal.held_out) != [ALL]:
            return "its regions are those of groups, which are not among the inputs"
        if not conformal.made.portable:
            return f"the score {conformal.score!r} needs quantiles of the predictive distribution"
        return None

    def signature(self):
        """Returns the signature."""
        conformal, head = self.subject.predictor.conformal, self.subject.model.head
        (limit,) = conformal.limits(1).astype("float32")
        share = f"of {conformal.level:g} of new examples ({conformal.score})"

        def interval(parameters):
            found = uncertainty(head, parameters)
            low, high = conformal.made.interval(Seen(found["mean"], found["scale"]), limit)
            return {"low": low, "high": high}

        def classes(parameters):
            probs = uncertainty(head, parameters)["probs"]
            scores = conformal.made.of_classes(probs, tf.where)
            return {"inside": tf.where(scores <= limit, tf.ones_like(probs), 0.0 * probs)}

        if head.task == "classification":
            outputs = (
                Value("inside", ("B", head.num_classes), "1 for classes in the set, else 0"),
            )
            return self.subject.signature(
                self.name, f"set with the class {share}", outputs, classes
            )
        outputs = tuple(
            Value(name, ("B",), f"{name} end, units of the target") for name in ("low", "high")
        )
        return self.subject.signature(
            self.name, f"interval with the target {share}", outputs, interval
        )
