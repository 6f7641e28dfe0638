"""Stock Keras 3 with the TensorFlow backend: the VAE of its own tutorials, `fit` on an array."""

import keras
import tensorflow as tf
import worker


class VAE(keras.Model):
    """784-400-20-400-784, or two convolutions and their mirror."""

    def __init__(self, convolutional):
        super().__init__()
        layers, size = keras.layers, 16 if convolutional else 20
        self.size = size
        if convolutional:
            same = {"padding": "same", "activation": "relu"}
            self.encoder = keras.Sequential(
                [
                    layers.Reshape((28, 28, 1)),
                    *(layers.Conv2D(n, 3, 2, **same) for n in (32, 64)),
                    *(layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(2 * size)),
                ]
            )
            self.decoder = keras.Sequential(
                [
                    *(layers.Dense(128, "relu"), layers.Dense(64 * 49, "relu")),
                    layers.Reshape((7, 7, 64)),
                    *(layers.Conv2DTranspose(n, 3, 2, **same) for n in (64, 32)),
                    *(layers.Conv2D(1, 1), layers.Flatten()),
                ]
            )
        else:
            self.encoder = keras.Sequential([layers.Dense(400, "relu"), layers.Dense(2 * size)])
            self.decoder = keras.Sequential([layers.Dense(400, "relu"), layers.Dense(784)])
        self.tracker = keras.metrics.Mean("loss")

    def call(self, x):
        loc, log_variance = tf.split(self.encoder(x), 2, axis=1)
        z = loc + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(loc))
        return loc, log_variance, self.decoder(z)

    def train_step(self, grey):
        x = tf.cast(tf.random.uniform(tf.shape(grey)) < grey, tf.float32)
        with tf.GradientTape() as tape:
            loc, log_variance, logits = self(x)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
            kl = -0.5 * (1 + log_variance - tf.square(loc) - tf.exp(log_variance))
            loss = tf.reduce_mean(tf.reduce_sum(entropy, axis=1) + tf.reduce_sum(kl, axis=1))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

    @property
    def metrics(self):
        return [self.tracker]


def make(item, variant, data):
    """Returns the block of an item."""
    keras.utils.set_random_seed(0)
    x = data["x"].reshape(-1, 784).astype("float32") / 255
    model = VAE(convolutional=item == "V3")
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=variant == "xla")

    def block():
        history = model.fit(x, batch_size=int(data["batch_size"]), epochs=1, verbose=0)
        return len(x), history.history["loss"][-1]

    return block


if __name__ == "__main__":
    worker.serve(make)
