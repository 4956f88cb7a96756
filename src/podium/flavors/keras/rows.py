"""Which Keras models answer row by row: those made of Keras' own layers, none of which looks across the batch."""

from typing import Any

from podium.flavors.contract import RowIndependence

_OWN = ("keras.src.layers.", "keras.layers.", "keras.engine.", "keras.src.engine.")
_MODELS = ("Sequential", "Functional", "Model")
# A function of the user's, whatever it does.
_FOREIGN = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
# Operations on tensors in a functional model (`a + b`, keras.ops.exp(a)) that look at one element at a time.
_ELEMENTWISE = frozenset(
    """
    Absolute Add Cast Clip Divide Elu Equal Exp Expm1 Floor Gelu Greater GreaterEqual HardSigmoid HardSwish LeakyRelu Less
    LessEqual Log Log10 Log1p Log2 LogicalAnd LogicalNot LogicalOr LogSigmoid Maximum Minimum Multiply Negative NotEqual
    Power Relu Relu6 Round Rsqrt Selu Sigmoid Sign Silu Softplus Softsign Sqrt Square Subtract Tanh TrueDivide Where
    """.split()  # noqa: SIM905 - a list of words is easier to read and to keep than one of literals
)


def rows_of(model: Any) -> RowIndependence:
    """Say whether a model answers row by row, and why, for people."""
    doubt = _doubt(model)
    name = type(model).__name__
    return RowIndependence(True, f"{name} of Keras' own layers") if doubt is None else RowIndependence(False, doubt)


def _doubt(layer: Any) -> str | None:
    """Why a layer or model is not known to answer row by row; None when it is."""
    kind = type(layer)
    if _is_model(kind):
        parts = getattr(layer, "operations", None) or getattr(layer, "layers", [])
        return next((doubt for part in parts if (doubt := _doubt(part)) is not None), None)
    if kind.__module__.startswith("keras.src.ops.") and kind.__name__ in _ELEMENTWISE:
        return None
    if not kind.__module__.startswith(_OWN) or kind.__name__ in _FOREIGN:
        return f"{kind.__module__}.{kind.__name__} is not one of Keras' own layers that answer row by row"
    if getattr(layer, "stateful", False):
        return f"the layer {layer.name} keeps a state from one call to the next"
    axis = getattr(layer, "axis", None)
    if 0 in (axis if isinstance(axis, list | tuple) else [axis]):
        return f"the layer {layer.name} works along the axis of the rows"
    activation = getattr(layer, "activation", None)
    module = getattr(activation, "__module__", None) or type(activation).__module__
    if activation is not None and module.partition(".")[0] != "keras":
        return f"the layer {layer.name} calls an activation of the user's"
    wrapped = [getattr(layer, part, None) for part in ("layer", "forward_layer", "backward_layer", "cell")]
    return next((doubt for part in wrapped if part is not None and (doubt := _doubt(part)) is not None), None)


def _is_model(kind: type) -> bool:
    return kind.__name__ in _MODELS and kind.__module__.startswith(("keras.src.models.", "keras.models."))
