"""Whatever a user calls an array, as a NumPy array in host memory.

Law: neither torch, pandas nor any other library is imported; nothing is read from a device.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from streamviz.publisher.values import Unusable

__all__ = ["as_array", "described", "numbers"]


def as_array(value: Any) -> np.ndarray:
    """Return what was given as an array; a tensor and an array without a copy.

    Args:
        value: An array, a CPU tensor of any floating type, a list of numbers or of either, a
            pandas object, a PIL image or whatever else NumPy takes.

    Raises:
        Unusable: It is no array of numbers, texts or dates.
    """
    if isinstance(value, np.ndarray):
        array = value
    elif (torch := sys.modules.get("torch")) is not None and isinstance(value, torch.Tensor):
        array = _of_tensor(value)
    elif isinstance(value, (list, tuple)) and value and hasattr(value[0], "detach"):
        array = np.asarray([_of_tensor(one) if hasattr(one, "detach") else one for one in value])
    elif isinstance(value, (str, bytes, bytearray, dict, set)) or value is None:
        raise Unusable("what is no array", f"found {type(value).__name__}")
    else:
        array = np.asarray(value if hasattr(value, "__array__") else _listed(value))
    if array.dtype.kind == "O":
        raise Unusable("an array of objects", f"found {described(value)}; numbers are expected")
    return array


def _listed(value: Any) -> Any:
    """Return an iterable as a list, a number as it is."""
    if isinstance(value, (int, float, complex, list, tuple)) or not hasattr(value, "__iter__"):
        return value
    if hasattr(value, "__len__"):
        return list(value)
    raise Unusable("what is no array", f"found {type(value).__name__}; a list is expected")


def _of_tensor(tensor: Any) -> np.ndarray:
    where = getattr(getattr(tensor, "device", None), "type", "cpu")
    if where != "cpu":
        raise Unusable(
            f"tensors on {where} in a list", "they cannot be read without waiting: stack them first"
        )
    tensor = tensor.detach()
    if "bfloat16" in str(tensor.dtype) or "float8" in str(tensor.dtype):
        tensor = tensor.float()
    if getattr(tensor, "is_sparse", False):
        raise Unusable("a sparse tensor", "send tensor.to_dense()")
    array: np.ndarray = tensor.numpy()
    return array


def numbers(value: object, what: str) -> np.ndarray:
    """Return real numbers as an array of a NumPy type; bool counts as a number.

    Raises:
        Unusable: It is something else.
    """
    array = as_array(value)
    if array.dtype.kind not in "biuf":
        raise Unusable(
            f"{what} that are no real numbers", f"found {described(array)}; send real numbers"
        )
    return array


def described(value: object) -> str:
    """Return type, shape and dtype for a message."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return type(value).__name__
    return f"an array of shape {tuple(shape)} and dtype {dtype}"[:120]
