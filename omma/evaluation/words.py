"""How well words find pictures: one text vector a class."""

import numpy as np
import numpy.typing as npt

from omma.errors import InvalidQuery
from omma.evaluation.metrics import MAX_GRADE, Float64, Measured, UInt8, measure
from omma.vectors import Float32


def zero_shot(pictures: Float32, labels: npt.ArrayLike, texts: Float32) -> Float64:
    """1 where the nearest text is that of the picture's label, else 0: float64[n]; the mean is the accuracy.

    pictures: float32[n, d], texts: float32[classes, d], unit; labels: int[n], rows of texts. Of equally near texts
    the first counts. Raises InvalidQuery, field `labels`.
    """
    label = _labels(labels, pictures, texts)
    right: Float64 = (np.argmax(pictures @ texts.T, axis=1) == label).astype(np.float64)
    return right


def words_to_pictures(pictures: Float32, labels: npt.ArrayLike, texts: Float32, *, k: int = 10) -> Measured:
    """Each text asks for the pictures of its label; arguments as for zero_shot.

    A label without pictures is no query.
    """
    label = _labels(labels, pictures, texts)

    def grades(part: slice) -> UInt8:
        return np.where(np.arange(len(texts))[part, None] == label, np.uint8(MAX_GRADE), np.uint8(0))

    return measure(texts, pictures, grades, k=k)


def _labels(labels: npt.ArrayLike, pictures: Float32, texts: Float32) -> npt.NDArray[np.integer]:
    label = np.asarray(labels)
    if label.shape != pictures.shape[:1]:
        raise InvalidQuery(f"{len(pictures)} pictures need as many labels, not {label.shape}.", field="labels")
    if len(label) and not 0 <= label.min() <= label.max() < len(texts):
        raise InvalidQuery(f"A label is none of the {len(texts)} texts.", field="labels", limit=len(texts))
    return label
