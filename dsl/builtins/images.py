"""Of images, channel after channel: conv2d max_pool avg_pool.

An image's windows are laid side by side by public places ("im2col": Chellapilla, Puri and Simard, "High Performance
Convolutional Neural Networks for Document Processing", 2006, section 2), which costs nothing on shares; a convolution
is then one product of matrices. All three have derivatives by those of what they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dsl.builtins.arguments import numeric
from dsl.builtins.reductions import mean_of
from dsl.builtins.table import CallSite, builtin
from dsl.convert import to_int
from dsl.operators import binary
from dsl.source import Span
from dsl.values import Array, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import INT, Dim

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows of `tall` x `wide` pixels lie in images of `height` x `width`, every `stride` pixels both ways."""

    height: int
    width: int
    tall: int
    wide: int
    stride: int

    @property
    def rows(self) -> int:
        """How many there are below one another."""
        return (self.height - self.tall) // self.stride + 1

    @property
    def columns(self) -> int:
        """How many there are side by side."""
        return (self.width - self.wide) // self.stride + 1

    def places(self) -> npt.NDArray[np.int64]:
        """(windows, pixels of a window): each pixel's number within its image, row after row."""
        down = self.stride * np.arange(self.rows)[:, None, None, None] + np.arange(self.tall)[:, None]
        along = self.stride * np.arange(self.columns)[:, None, None] + np.arange(self.wide)
        return (down * self.width + along).reshape(self.rows * self.columns, self.tall * self.wide)


def _images(w: Walker, site: CallSite, x: Val) -> tuple[Array, tuple[Dim, int, int, int]]:
    a = to_int(numeric(w, x, site.of("x")))
    if len(a.shape) != 4:
        w.fail("E0302", "images have four axes: images, channels, rows, columns", site.of("x"), describe(a))
    many, *rest = a.shape
    known = [d for d in rest if isinstance(d, int)]
    if len(known) < 3:
        w.fail("E0310", "channels, rows and columns must be known before the data are", site.of("x"), describe(a))
    return a, (many, known[0], known[1], known[2])


def _whole(w: Walker, site: CallSite, val: Val | None, name: str, least: int, default: int) -> int:
    if val is None:
        return default
    number = w.number(val, site.of(name), f"`{name}`")
    if number < least:
        w.fail("E0301", f"`{name}` is {least} at least", site.of(name), f"{number}")
    return number


def _windows(w: Walker, windows: Windows, span: Span) -> Windows:
    if windows.tall > windows.height or windows.wide > windows.width:
        label = f"windows of {windows.tall} x {windows.wide} in {windows.height} x {windows.width}"
        w.fail("E0302", "a window is larger than the image", span, label)
    return windows


def _padded(w: Walker, value: Value, by: int) -> Value:
    """Zeros on all four sides."""
    for axis in (2, 3) if by else ():
        shape = (*value.shape[:axis], by, *value.shape[axis + 1 :])
        zeros = w.builder.const(np.zeros(()), value.dtype).broadcast_to(shape)
        value = w.builder.emit("concat", zeros, value, zeros, axis=axis)
    return value


@builtin("conv2d")
def conv2d(
    w: Walker, site: CallSite, x: Val, weights: Val, stride: Val | None = None, padding: Val | None = None
) -> Val:
    """What each filter gives at each place of each image, as PyTorch's `conv2d` counts: no filter is turned round.

    x: [images, channels, rows, columns]; weights: [filters, channels, rows, columns]; padding: so many zeros on every
    side; stride: from one place to the next. The result: [images, filters, (rows + 2 padding - filter's rows) // stride
    + 1, …]. Every number is one sum of products, exact to a unit of rounding.
    """
    a, (many, channels, height, width) = _images(w, site, x)
    k = to_int(numeric(w, weights, site.of("weights")))
    sizes = [d for d in k.shape if isinstance(d, int)]
    if len(sizes) != 4 or sizes[1] != channels:
        label = f"{describe(k)} for images of {channels} channels"
        w.fail("E0302", "filters have four axes: filters, channels, rows, columns", site.of("weights"), label)
    step = _whole(w, site, stride, "stride", 1, 1)
    by = _whole(w, site, padding, "padding", 0, 0)
    at = _windows(w, Windows(height + 2 * by, width + 2 * by, sizes[2], sizes[3], step), site.of("weights"))
    one = at.places()
    image = np.arange(channels)[:, None] * (at.height * at.width)
    index = (one[:, None, :] + image).reshape(len(one), channels * one.shape[1])
    flat = _padded(w, a.value, by).reshape((many, channels * at.height * at.width))
    side = w.builder.emit("take", flat, w.builder.const(index, INT), axis=1)
    left = replace(a, value=side.reshape((many * len(one), index.shape[1])), exact=None)
    right = replace(k, value=k.value.reshape((sizes[0], index.shape[1])).transpose((1, 0)), exact=None)
    out = w.array(binary(w, "@", left, right, site.span), site.span)
    value = out.value.reshape((many, len(one), sizes[0])).transpose((0, 2, 1))
    return out.with_value(value.reshape((many, sizes[0], at.rows, at.columns)))


def _pooled(w: Walker, site: CallSite, x: Val, size: Val, stride: Val | None) -> tuple[Array, Windows]:
    """Windows of each image and channel, [images, channels, windows, pixels]."""
    a, (many, channels, height, width) = _images(w, site, x)
    side = _whole(w, site, size, "size", 1, 1)
    step = _whole(w, site, stride, "stride", 1, side)
    at = _windows(w, Windows(height, width, side, side, step), site.of("size"))
    flat = a.value.reshape((many, channels, height * width))
    return a.with_value(w.builder.emit("take", flat, w.builder.const(at.places(), INT), axis=2)), at


def _as_images(a: Array, at: Windows) -> Array:
    return a.with_value(a.value.reshape((*a.shape[:2], at.rows, at.columns)))


@builtin("max_pool")
def max_pool(w: Walker, site: CallSite, x: Val, size: Val, stride: Val | None = None) -> Val:
    """The largest of every window of size x size pixels of images [images, channels, rows, columns].

    stride: from one window to the next, `size` when not said; pixels beyond the last whole window are left out.
    """
    a, at = _pooled(w, site, x, size, stride)
    return _as_images(a.with_value(w.builder.emit("max", a.value, axis=3, keepdims=False)), at)


@builtin("avg_pool")
def avg_pool(w: Walker, site: CallSite, x: Val, size: Val, stride: Val | None = None) -> Val:
    """The mean of every window of size x size pixels; as `max_pool`."""
    a, at = _pooled(w, site, x, size, stride)
    return _as_images(mean_of(w, a, 3), at)
