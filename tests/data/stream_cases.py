"""Small folders of images and of TFRecords, for the tests of what streams from them."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image


def noise(count, shape=(5, 5, 3), seed=0):
    """Returns random images [count, H, W, C], uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def encoded(image, form="PNG"):
    """Returns the bytes of an image [H, W, C] as a file of it has them."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, form)
    return file.getvalue()


def save_images(folder, images):
    """Writes a PNG file per image; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:03d}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(encoded(image))
    return files


def example(**features):
    """Returns a serialised `tf.train.Example`; "__" in a name stands for "/"."""

    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(value)))

    features = {name.replace("__", "/"): feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def save_records(file, records):
    """Writes serialised records to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)


def save_image_records(file, images, labels=None):
    """Writes images [N, H, W, C] as PNG in TFRecords, with labels if there are any."""
    beside = [{}] * len(images) if labels is None else [{"label": int(y)} for y in labels]
    records = [example(image=encoded(x), **y) for x, y in zip(images, beside, strict=True)]
    save_records(file, records)
