"""Loop backends: storage for the elements that a loop reads and writes one step at a time.

TensorFlow has TensorArrays, and XLA has them with a fixed size. LiteRT has no arrays of elements of
unknown size, but tensors of any size. A function with a loop takes a backend as an argument, so
that one loop serves all three.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = [
    "LITERT",
    "TENSORFLOW",
    "LiteRTLoopBackend",
    "LoopBackend",
    "TensorFlowLoopBackend",
    "XLALoopBackend",
    "loop_arguments",
]


class LoopBackend:
    """The interface of loop backends. `elements` is a TensorArray, or a tensor [N, ...].

    Attributes:
        has_tensor_arrays: whether elements are stored in TensorArrays. Where they are not, only the
            first element tells the size of its tensor, see `start_elements`.
        has_dynamic_shapes: whether shapes may depend on values.
        has_tensorflow_kernels: whether the kernels are TensorFlow's or XLA's. LiteRT's exponential
            is slower than its softmax, its selection slower than its update in place, and its
            gather refuses some shapes.
        initial_cache_length: positions that a decoder's cache has room for before the first step;
            None for a cache that grows by one position a step.
        max_steps: most steps of a search, int or int32 scalar tensor; None for no bound.
    """

    has_tensor_arrays = True
    has_dynamic_shapes = True
    has_tensorflow_kernels = True
    initial_cache_length: Any = None
    max_steps: Any = None

    def new_elements(
        self, element_shape: Sequence | None, dtype: tf.DType = tf.float32, size: Any = None
    ) -> Any:
        """Creates storage for elements.

        Args:
            element_shape: shape of an element, ints, scalar tensors or None; None when it is taken
                from the first element.
            dtype: dtype of the elements.
            size: number of elements, int or scalar tensor; None when it is not known.

        Returns:
            Elements without a value.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement new_elements")

    def start_elements(self, first: tf.Tensor, index: tf.Tensor, size: Any) -> Any:
        """Creates storage for `size` elements like `first`, with `first` at `index`."""
        return self.write(self.new_elements(first.shape, first.dtype, size), index, first)

    def unstack(self, values: tf.Tensor) -> Any:
        """Returns the elements of a tensor [N, ...], for `read`."""
        raise NotImplementedError(f"{type(self).__name__} does not implement unstack")

    def read(self, elements: Any, index: tf.Tensor) -> tf.Tensor:
        """Returns the element [...] at an index."""
        raise NotImplementedError(f"{type(self).__name__} does not implement read")

    def write(self, elements: Any, index: tf.Tensor, value: tf.Tensor) -> Any:
        """Returns the elements with `value` [...] at an index."""
        raise NotImplementedError(f"{type(self).__name__} does not implement write")

    def stack(self, elements: Any) -> tf.Tensor:
        """Returns all elements as one tensor [N, ...]."""
        raise NotImplementedError(f"{type(self).__name__} does not implement stack")

    def update_column(
        self, tensor: tf.Tensor, index: tf.Tensor, value: tf.Tensor, axis: int
    ) -> tf.Tensor:
        """Returns a tensor with another column.

        Args:
            tensor: tensor of any shape.
            index: int32 scalar, the column's index along `axis`.
            value: tensor of the same shape, but 1 along `axis`.
            axis: int, the axis of the columns.
        """
        is_column = tf.equal(tf.range(tf.shape(tensor)[axis]), index)
        shape = [-1 if i == axis else 1 for i in range(tensor.shape.rank)]
        return tf.where(tf.reshape(is_column, shape), value, tensor)

    def grow(self, tensor: tf.Tensor, axis: int, count: int) -> tf.Tensor:
        """Returns a tensor with `count` columns of zeros appended along `axis`."""
        return tf.pad(tensor, [[0, count if i == axis else 0] for i in range(tensor.shape.rank)])


class TensorFlowLoopBackend(LoopBackend):
    """TensorArrays that grow as needed."""

    def new_elements(
        self, element_shape: Sequence | None, dtype: tf.DType = tf.float32, size: Any = None
    ) -> tf.TensorArray:
        if element_shape is not None:
            element_shape = [n if isinstance(n, int) else None for n in element_shape]
        size = {"size": 0, "dynamic_size": True} if size is None else {"size": size}
        return tf.TensorArray(dtype, **size, element_shape=element_shape)

    def unstack(self, values: tf.Tensor) -> tf.TensorArray:
        size, shape = tf.shape(values)[0], values.shape[1:]
        return tf.TensorArray(values.dtype, size, element_shape=shape).unstack(values)

    def read(self, elements: tf.TensorArray, index: tf.Tensor) -> tf.Tensor:
        return elements.read(index)

    def write(self, elements: tf.TensorArray, index: tf.Tensor, value: tf.Tensor) -> tf.TensorArray:
        return elements.write(index, value)

    def stack(self, elements: tf.TensorArray) -> tf.Tensor:
        return elements.stack()


class XLALoopBackend(TensorFlowLoopBackend):
    """TensorArrays of a fixed size: no shape depends on a value.

    Args:
        max_steps: number of elements where no other size is given, and positions of a decoder's
            cache; int, or scalar tensor that XLA can evaluate when it compiles.
    """

    has_dynamic_shapes = False

    def __init__(self, max_steps: Any) -> None:
        self.max_steps = self.initial_cache_length = max_steps

    def new_elements(
        self, element_shape: Sequence | None, dtype: tf.DType = tf.float32, size: Any = None
    ) -> tf.TensorArray:
        return super().new_elements(element_shape, dtype, self.max_steps if size is None else size)


class LiteRTLoopBackend(LoopBackend):
    """Tensors in place of arrays."""

    has_tensor_arrays = False
    has_tensorflow_kernels = False
    initial_cache_length = 0

    def new_elements(
        self, element_shape: Sequence | None, dtype: tf.DType = tf.float32, size: Any = None
    ) -> tf.Tensor:
        return tf.zeros([0 if size is None else size, *element_shape], dtype)

    def start_elements(self, first: tf.Tensor, index: tf.Tensor, size: Any) -> tf.Tensor:
        zeros = tf.zeros(tf.concat([[size], tf.shape(first)], 0), first.dtype)
        return self.write(zeros, index, first)

    def unstack(self, values: tf.Tensor) -> tf.Tensor:
        return values

    def read(self, elements: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        return tf.gather(elements, index)

    def write(self, elements: tf.Tensor, index: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        return self.update_column(elements, index, tf.expand_dims(value, 0), 0)

    def stack(self, elements: tf.Tensor) -> tf.Tensor:
        return elements

    def update_column(
        self, tensor: tf.Tensor, index: tf.Tensor, value: tf.Tensor, axis: int
    ) -> tf.Tensor:
        from tensorflow.compiler.tf2xla.python import xla  # no public name has the operation

        indices = tf.stack([index if i == axis else 0 for i in range(tensor.shape.rank)])
        return xla.dynamic_update_slice(tensor, value, indices)


TENSORFLOW = TensorFlowLoopBackend()
LITERT = LiteRTLoopBackend()


def loop_arguments(layer: Any, loop_backend: LoopBackend) -> dict[str, LoopBackend]:
    """Returns the keyword arguments that pass a loop backend to a layer that supports one."""
    return {"loop_backend": loop_backend} if layer.supports_loop_backend else {}
