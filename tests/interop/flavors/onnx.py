"""ONNX: one input and several, tables and tensors, batches of a fixed size, outputs that MLflow cannot lay into a table."""

NEEDS = ("onnx", "onnxruntime", "pandas")
HEAD = '<ir_version: 8, opset_import: ["" : 17]> '
SUMS = HEAD + "sums (float[N] a, float[N] b) => (float[N] y) { y = Add(a, b) }"
DOUBLES = HEAD + "doubles (float[N, 2] x) => (float[N, 2] y) { y = Add(x, x) }"
SUM_OF_ROW = HEAD + "rows (float[N, 2] x) => (float[N] y) { y = ReduceSum <keepdims = 0> (x, axes) }"
TWICE = HEAD + "twice (float[2, 2] x) => (float[2, 2] y) { y = Add(x, x) }"


def graphs():
    import numpy as np
    import onnx
    import pandas as pd

    table = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    array = np.array([[1.0, 2.0], [3.0, 4.5]], dtype=np.float32)
    split = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2.0], [-1.0, 0.125]]}}
    wide = (split, "application/json")
    tensors = [
        {"inputs": [[1.0, 2.0], [0.5, -1.0]]},
        {"instances": [[1, 2], [3, 4]]},
        {"inputs": [[1.0, 2.0, 3.0]]},
        {"inputs": [["a", "b"], ["c", "d"]]},
    ]
    made = {
        "columns": (SUMS, table, [split, {"dataframe_records": [{"a": 1, "b": 2}]}, {"inputs": {"a": [1.0], "b": [2.0]}},
                                  ("a,b\n1.5,2.5\n", "text/csv"),
                                  {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}]),
        "tensor": (DOUBLES, array, tensors),
        "fixed": (TWICE, array, tensors),
        # MLflow flattens the output, which has another length then.
        "table": (DOUBLES, table, [(*wide, {"predictions": [{"y": [3.0, 4.0]}, {"y": [-2.0, 0.25]}]})]),
    }  # fmt: skip
    return [(name, onnx.parser.parse_model(text), example, asked) for name, (text, example, asked) in made.items()]


def saved(save, root):
    asked = {}
    for name, graph, example, requests in graphs():
        save(graph, root / name, input_example=example)
        asked[name] = requests
    return asked


def saved_by_mlflow(root):
    import mlflow.onnx
    from mlflow.models import infer_signature

    def save(graph, path, input_example):
        # Told what it needs, MLflow does not load each model once more to find out.
        signature = infer_signature(input_example)
        mlflow.onnx.save_model(graph, path, input_example=input_example, signature=signature, pip_requirements=["mlflow"])

    return saved(save, root)


def saved_by_podium(root):
    import podium.onnx

    return saved(podium.onnx.save_model, root)


def native(library, folder):
    graph = library.load_model(str(folder)).graph
    return [graph.name, [each.name for each in graph.input], [each.op_type for each in graph.node]]
