"""A copy of a model that computes in another precision with the same weights."""

from typing import Any, TypeVar

import keras

from tfp_vae import keras_private

_FLOATS = ("float16", "bfloat16", "float32", "mixed_float16", "mixed_bfloat16")
_Model = TypeVar("_Model", bound=keras.Model)


def in_precision(model: _Model, policy: str, part: "str | None" = None) -> _Model:
    """Returns a copy that computes in another precision; its weights are the numbers they were.

    Args:
        model: that Keras can save.
        policy: of Keras, such as "float64" or "mixed_bfloat16".
        part: what alone gets it, by its name in the model's configuration, such as "decoder".

    Raises:
        ValueError: if there is a layer that cannot, or one of `part` that keeps its own precision.
    """
    config = keras.saving.serialize_keras_object(model)
    try:
        if part is None:
            config = _changed(config, policy)
        else:
            inner = config["config"]
            config = {**config, "config": {**inner, part: _changed(inner[part], policy)}}
        copy = keras.saving.deserialize_keras_object(config)
        copy.set_weights(model.get_weights())
    except (KeyError, TypeError, ValueError) as error:
        raise cannot(policy, error) from error
    if part is not None:
        layer = getattr(copy, part)
        for each in (layer, *keras_private.all_sublayers(layer)):
            found, wanted = each.compute_dtype, keras.dtype_policies.get(policy).compute_dtype
            # What only calls others computes nothing, and Keras keeps no dtype of it.
            if each.weights and found != wanted and not isinstance(each, keras.Model):
                raise cannot(policy, f"{each.name}, which computes in {found} whatever it is told")
    return copy


def cannot(policy: str, received: object) -> ValueError:
    """Returns the error for a model that does not compute in a precision."""
    return ValueError(
        f"The model cannot be computed in {policy}. Expected layers that Keras saves and loads and "
        f"that follow their dtype. Received: {received}"
    )


def _changed(config: Any, policy: str) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": policy}}
        # A bare dtype is that of numbers, such as inputs, which no mixed policy is a name of.
        named = () if policy.startswith("mixed") else _FLOATS
        return {
            key: policy if key == "dtype" and value in named else _changed(value, policy)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return [_changed(each, policy) for each in config]
    return config
