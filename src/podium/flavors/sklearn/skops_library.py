"""Importing skops without what it drags along."""

import sys
from types import ModuleType
from typing import Any, cast

# skops asks sklearn for all its estimators when it is imported, and on that walk a package is imported that imports
# PyTorch where that is installed: seconds, and a quarter of a gigabyte in each worker, for nothing.
# https://github.com/scikit-learn/scikit-learn/blob/main/sklearn/utils/discovery.py
_DRAGGED = "sklearn.externals.array_api_compat.torch"


def skops_io() -> ModuleType:
    """`skops.io`.

    Raises:
        ImportError: It is not installed.
    """
    is_kept_out = _DRAGGED not in sys.modules and "torch" not in sys.modules
    if is_kept_out:
        # None makes its import an ImportError, which that walk passes over.
        cast("dict[str, Any]", sys.modules)[_DRAGGED] = None
    try:
        import skops.io
    finally:
        if is_kept_out:
            sys.modules.pop(_DRAGGED, None)
    return cast("ModuleType", skops.io)
