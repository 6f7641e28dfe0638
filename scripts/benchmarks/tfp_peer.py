"""TensorFlow Probability's own layers, in Keras 2: `tfp.layers` under `tf_keras`, with `fit`."""

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import worker

tfd, tfpl = tfp.distributions, tfp.layers


def _vae():
    prior = tfd.Independent(tfd.Normal(tf.zeros(20), 1.0), 1)
    # A Sequential model lists this loss twice: with half the weight the sum is the KL.
    kl = tfpl.KLDivergenceRegularizer(prior, use_exact_kl=True, weight=0.5)
    return tf_keras.Sequential(
        [
            tf_keras.layers.Dense(400, "relu", input_shape=(784,)),
            tf_keras.layers.Dense(tfpl.IndependentNormal.params_size(20)),
            tfpl.IndependentNormal(20, activity_regularizer=kl),
            tf_keras.layers.Dense(400, "relu"),
            tf_keras.layers.Dense(tfpl.IndependentBernoulli.params_size(784)),
            tfpl.IndependentBernoulli(784, tfd.Bernoulli.logits),
        ]
    )


def _network(estimator, num_data):
    dense = {"local": tfpl.DenseLocalReparameterization, "flipout": tfpl.DenseFlipout}[estimator]

    def kl(posterior, prior, _):
        return tfd.kl_divergence(posterior, prior) / num_data

    def layer(units, activation=None):
        return dense(units, activation=activation, kernel_divergence_fn=kl)

    return tf_keras.Sequential([layer(400, "relu"), layer(400, "relu"), layer(10)])


def make(item, variant, data):
    """Returns the block of an item."""
    tf_keras.utils.set_random_seed(0)
    batch_size = int(data["batch_size"])
    grey = data["x"].reshape(-1, 784).astype("float32") / 255
    if item in ("B1", "B1f"):
        model = _network(variant, len(grey))
        loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        dataset = tf.data.Dataset.from_tensor_slices((grey, data["y"].astype("int32")))
        dataset = dataset.shuffle(len(grey)).batch(batch_size).prefetch(2)
    else:
        model = _vae()

        def loss(x, likelihood):
            return -likelihood.log_prob(x)

        def binarised(x):
            x = tf.cast(tf.random.uniform(tf.shape(x)) < x, tf.float32)
            return x, x

        dataset = tf.data.Dataset.from_tensor_slices(grey).shuffle(len(grey))
        dataset = dataset.batch(batch_size).map(binarised).prefetch(2)
    model.compile(optimizer=tf_keras.optimizers.Adam(1e-3), loss=loss)

    def block():
        history = model.fit(dataset, epochs=1, verbose=0)
        return len(grey), history.history["loss"][-1]

    return block


if __name__ == "__main__":
    worker.serve(make)
