import json
import numpy as np
def encode_pieces(output, sizes):
    if isinstance(output, dict):
        cols = []
        for k, v in output.items():
            if not isinstance(v, np.ndarray) or len(v) != len(sizes) or v.ndim > 2: return None
            cols.append((json.dumps(k), _cut(v)))
        if max(sizes) != 1: return None
        return [b'{"predictions": {%s}}' % b", ".join([b"%s: [%s]" % (k.encode(), p[i]) for k, p in cols]) for i in range(len(sizes))]
    if not isinstance(output, np.ndarray) or output.ndim > 2 or max(sizes) != 1 or len(output) != len(sizes) or output.dtype.kind not in "iufb": return None
    return [b'{"predictions": [%s]}' % p for p in _cut(output)]
def _cut(v):
    t = json.dumps(v.tolist()).encode()
    if v.ndim == 1: return t[1:-1].split(b", ")
    return [b"[" + p + b"]" for p in t[2:-2].split(b"], [")]
